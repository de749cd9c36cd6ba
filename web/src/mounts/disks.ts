import type { Schemas } from '@/api/client';
import { t } from '@/texts';

/** "Disk 0"; "Disks 0, 1" for a mount of several as one machine. */
export function mountedDisks(mount: Schemas['Mount']): string {
	const list = mount.disks.map((d) => d.disk_index);
	return list.length > 1 ? t.mounts.someDisks(list.join(', ')) : t.restore.diskN(mount.disk_index);
}
