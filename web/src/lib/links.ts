/** The Restore page with a VM, and maybe a restore point, chosen. */
export function restoreUrl(vm: string, backup?: string, disk?: number): string {
	const query = new URLSearchParams({ vm });
	if (backup) query.set('backup', backup);
	if (disk !== undefined) query.set('disk', String(disk));
	return `/restore?${query}`;
}
