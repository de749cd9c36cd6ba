/* Which volumes of a disk can be chosen, and which is meant when nothing was said. */
import type { Schemas } from '@/api/client';
import { formatSize } from '@/lib/format';
import { t } from '@/texts';

export type Volume = Schemas['Volume'];

/** A container has no files of its own; a locked one has none yet. */
export const choosable = (volumes: Volume[]): Volume[] => volumes.filter((v) => !v.container || v.locked);

const largest = (volumes: Volume[]) =>
	volumes.reduce<Volume | undefined>((a, b) => (a && a.size >= b.size ? a : b), undefined);

/** The hub's default, else the largest that can be read, else the largest that a key would open, else any. */
export function preferred(volumes: Volume[]): Volume | undefined {
	const list = choosable(volumes);
	return (
		list.find((v) => v.default) ??
		largest(list.filter((v) => v.supported && !v.locked)) ??
		largest(list.filter((v) => v.locked)) ??
		list[0]
	);
}

/** Of what an unlocked container gave free: where to go. */
export function cameFree(before: Volume[], after: Volume[]): Volume | undefined {
	const known = new Set(before.map((v) => v.volume));
	const fresh = after.filter((v) => !known.has(v.volume));
	return preferred(fresh) ?? preferred(after);
}

export const isBitLocker = (v: Volume) => v.filesystem_type?.toLowerCase() === 'bitlocker';

export function volumeTitle(v: Volume): string {
	return v.label || v.name || v.partition_type_name || t.browser.volumeN(v.volume);
}

export function volumeFacts(v: Volume): string {
	return [t.browser.volumeN(v.volume), v.locked ? encryptionName(v) : v.filesystem_type, formatSize(v.size)]
		.filter(Boolean)
		.join(' · ');
}

export function encryptionName(v: Volume): string {
	if (isBitLocker(v)) return 'BitLocker';
	return v.filesystem_type === 'crypto_LUKS' ? 'LUKS' : (v.filesystem_type ?? t.browser.locked);
}
