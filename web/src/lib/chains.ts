import type { Schemas } from '@/api/client';

type Backup = Schemas['Backup'];
type Disk = Schemas['Disk'];

export interface Link {
	backup: Backup;
	disk: Disk;
}

const time = (b: Backup) => Date.parse(b.created_at);

/** The chains of one disk: each begins with what stands alone, and goes on with what needs the one before. Newest chain first. */
export function chainsOf(backups: readonly Backup[], diskIndex: number): Link[][] {
	const links = backups
		.flatMap((backup) => backup.disks.filter((d) => d.disk_index === diskIndex).map((disk) => ({ backup, disk })))
		.sort((a, b) => time(a.backup) - time(b.backup));
	const chains = new Map<string, Link[]>();
	for (const link of links) {
		const parent = link.disk.parent_backup_id;
		const chain = (parent && chains.get(parent)) || [];
		chain.push(link);
		chains.set(link.backup.backup_id, chain);
	}
	return [...new Set(chains.values())].sort((a, b) => newest(b) - newest(a));
}

const newest = (chain: Link[]) => Math.max(...chain.map((l) => time(l.backup)));

export function diskIndexes(backups: readonly Backup[]): number[] {
	return [...new Set(backups.flatMap((b) => b.disks.map((d) => d.disk_index)))].sort((a, b) => a - b);
}

export const storedBytes = (b: Backup) => b.disks.reduce((sum, d) => sum + d.stored_bytes, 0);
export const sizeBytes = (b: Backup) => b.disks.reduce((sum, d) => sum + d.size_bytes, 0);
