import { describe, expect, it } from 'vitest';
import { all, clear, click, move, nothing, toggle, type Selection } from './selection';

const rows = ['/a', '/b', '/c', '/d', '/e'].map((path) => ({ path }));
const plain = { toggle: false, range: false };
const chosen = (s: Selection) => [...s.chosen].sort().join('');

describe('selection', () => {
	it('a click chooses one', () => expect(chosen(click(click(nothing, rows, 1, plain), rows, 3, plain))).toBe('/d'));
	it('Ctrl adds and takes away', () => {
		const s = click(click(nothing, rows, 1, plain), rows, 3, { toggle: true, range: false });
		expect(chosen(s)).toBe('/b/d');
		expect(chosen(click(s, rows, 1, { toggle: true, range: false }))).toBe('/d');
	});
	it('Shift chooses a range, in both directions, from the same anchor', () => {
		const s = click(nothing, rows, 2, plain);
		const up = click(s, rows, 0, { toggle: false, range: true });
		expect(chosen(up)).toBe('/a/b/c');
		expect(chosen(click(up, rows, 4, { toggle: false, range: true }))).toBe('/c/d/e');
	});
	it('Shift with Ctrl keeps what was chosen', () => {
		const s = click(click(nothing, rows, 0, plain), rows, 3, { toggle: true, range: false });
		expect(chosen(click(s, rows, 4, { toggle: true, range: true }))).toBe('/a/d/e');
	});
	it('keys move, and stay inside', () => {
		expect(move(nothing, rows, -1, false).active).toBe(0);
		expect(move(nothing, rows, 99, false).active).toBe(4);
		expect(chosen(move(move(nothing, rows, 1, true), rows, 2, true))).toBe('/a/b/c');
	});
	it('all, none, toggle', () => {
		expect(chosen(all(nothing, rows))).toBe('/a/b/c/d/e');
		expect(chosen(clear(all(nothing, rows)))).toBe('');
		expect(chosen(toggle(toggle(nothing, rows, 2), rows, 2))).toBe('');
	});
	it('a row that is not there changes nothing', () => expect(click(nothing, rows, 9, plain)).toBe(nothing));
});
