/* What of a folder is shown. */
import type { Schemas } from '@/api/client';
import type { Sort } from '@/api/queries';

export type Entry = Schemas['FileEntry'];
export type { Sort };
export const SORTS: readonly Sort[] = ['name', 'size', 'modified', 'mode', 'owner'];
export type Order = 'asc' | 'desc';

export function isSort(text: string | null): text is Sort {
	return SORTS.includes(text as Sort);
}

export function filterEntries(entries: Entry[], q: string): Entry[] {
	if (!q) return entries;
	const needle = q.toLowerCase();
	if (/[*?]/.test(q)) {
		// As the hub's search has them: the whole name is meant.
		const parts = needle
			.replace(/[.+^${}()|[\]\\]/g, '\\$&')
			.replaceAll('*', '.*')
			.replaceAll('?', '.');
		const pattern = new RegExp(`^${parts}$`, 's');
		return entries.filter((e) => pattern.test(e.name.toLowerCase()));
	}
	return entries.filter((e) => e.name.toLowerCase().includes(needle));
}

const KEYS: Record<Sort, (e: Entry) => string | number> = {
	name: (e) => e.name,
	size: (e) => e.size ?? 0,
	modified: (e) => Date.parse(e.modified_time ?? '') || 0,
	mode: (e) => e.mode ?? '',
	owner: (e) => e.uid ?? -1,
};

/** What a search found, in the order that the hub gives folders: folders first, what is alike by its path. */
export function sortEntries(entries: Entry[], sort: Sort, order: Order): Entry[] {
	const key = KEYS[sort];
	const up = order === 'asc' ? 1 : -1;
	const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0);
	return entries.toSorted(
		(a, b) =>
			Number(b.type === 'directory') - Number(a.type === 'directory') ||
			up * (compare(key(a), key(b)) || compare(a.path, b.path)),
	);
}

/** A name cut around what the filter found. */
export function matchParts(name: string, q: string): [string, string, string] {
	const at = q ? name.toLowerCase().indexOf(q.toLowerCase()) : -1;
	if (at < 0) return [name, '', ''];
	return [name.slice(0, at), name.slice(at, at + q.length), name.slice(at + q.length)];
}

export interface Total {
	count: number;
	bytes: number;
	folders: number;
}

export function totalOf(entries: Entry[], chosen: ReadonlySet<string>): Total {
	const total = { count: chosen.size, bytes: 0, folders: 0 };
	if (chosen.size === 0) return total;
	for (const e of entries) {
		if (!chosen.has(e.path)) continue;
		if (e.type === 'directory') total.folders++;
		else total.bytes += e.size ?? 0;
	}
	return total;
}
