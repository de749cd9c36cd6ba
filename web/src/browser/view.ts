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
	return entries.filter((e) => e.name.toLowerCase().includes(needle));
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
