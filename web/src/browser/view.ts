/* What of a folder is shown: filter, and the orders that the hub does not know. */
import type { Schemas } from '@/api/client';
import type { ServerSort } from '@/api/queries';

export type Entry = Schemas['FileEntry'];
export const SORTS = ['name', 'size', 'modified', 'mode', 'owner'] as const;
export type Sort = (typeof SORTS)[number];
export type Order = 'asc' | 'desc';

export function isSort(text: string | null): text is Sort {
	return SORTS.includes(text as Sort);
}

/** The hub sorts by these; the page by mode and owner. */
export function serverSort(sort: Sort): ServerSort {
	return sort === 'mode' || sort === 'owner' ? 'name' : sort;
}

export function filterEntries(entries: Entry[], q: string): Entry[] {
	if (!q) return entries;
	const needle = q.toLowerCase();
	return entries.filter((e) => e.name.toLowerCase().includes(needle));
}

export function sortEntries(entries: Entry[], sort: Sort, order: Order): Entry[] {
	if (sort !== 'mode' && sort !== 'owner') return entries;
	const sign = order === 'desc' ? -1 : 1;
	const key = (e: Entry) =>
		sort === 'mode' ? Number.parseInt(e.mode ?? '0', 8) : (e.uid ?? 0) * 2 ** 20 + (e.gid ?? 0);
	const rank = (e: Entry) => (e.type === 'directory' ? 0 : 1);
	return [...entries].sort((a, b) => rank(a) - rank(b) || sign * (key(a) - key(b)));
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
