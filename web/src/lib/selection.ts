/* Which rows of a list are chosen, as file managers do it. */

export interface Selection {
	chosen: ReadonlySet<string>;
	/** Where a range begins. */
	anchor: number;
	/** The row that keys act on. */
	active: number;
}

export const nothing: Selection = { chosen: new Set(), anchor: 0, active: 0 };

type Keys = readonly { path: string }[];

const range = (rows: Keys, a: number, b: number) => rows.slice(Math.min(a, b), Math.max(a, b) + 1).map((r) => r.path);

/** A click: alone, with Ctrl or ⌘ (toggle), or with Shift (range from the anchor). */
export function click(s: Selection, rows: Keys, at: number, mods: { toggle: boolean; range: boolean }): Selection {
	const row = rows[at];
	if (!row) return s;
	if (mods.range) {
		const chosen = new Set(mods.toggle ? s.chosen : []);
		range(rows, s.anchor, at).forEach((p) => chosen.add(p));
		return { chosen, anchor: s.anchor, active: at };
	}
	if (mods.toggle) return toggle(s, rows, at);
	return { chosen: new Set([row.path]), anchor: at, active: at };
}

export function toggle(s: Selection, rows: Keys, at: number): Selection {
	const row = rows[at];
	if (!row) return s;
	const chosen = new Set(s.chosen);
	if (!chosen.delete(row.path)) chosen.add(row.path);
	return { chosen, anchor: at, active: at };
}

/** A movement by keys; with `extend` the range from the anchor is chosen. */
export function move(s: Selection, rows: Keys, to: number, extend: boolean): Selection {
	const at = Math.max(0, Math.min(rows.length - 1, to));
	if (!extend) return { ...s, active: at, anchor: at };
	return { chosen: new Set(range(rows, s.anchor, at)), anchor: s.anchor, active: at };
}

export function all(s: Selection, rows: Keys): Selection {
	return { ...s, chosen: new Set(rows.map((r) => r.path)) };
}

export function clear(s: Selection): Selection {
	return s.chosen.size === 0 ? s : { ...s, chosen: new Set() };
}
