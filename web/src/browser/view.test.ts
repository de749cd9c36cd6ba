import { describe, expect, it } from 'vitest';
import { asText, previewKind } from './kinds';
import { filterEntries, matchParts, sortEntries, totalOf, type Entry } from './view';

const entry = (name: string, more: Partial<Entry> = {}) =>
	({ name, path: `/${name}`, type: 'file', size: 10, mode: '0644', uid: 0, gid: 0, ...more }) as Entry;

describe('filter', () => {
	it('ignores case', () => expect(filterEntries([entry('Über.TXT'), entry('b')], 'über.t')).toHaveLength(1));
	it.each([
		['*.txt', 'A.TXT', true],
		['*.txt', 'a.txt.bak', false],
		['a?(1)*', 'ab(1)\n.pdf', true],
		['a?b', 'ab', false],
	])('%s and %j', (q, name, match) => expect(filterEntries([entry(name)], q)).toHaveLength(match ? 1 : 0));
	it('marks what it found', () => expect(matchParts('Report.txt', 'PORT')).toEqual(['Re', 'port', '.txt']));
	it('marks nothing without a filter', () => expect(matchParts('a', '')).toEqual(['a', '', '']));
});

describe('what a search found', () => {
	const list = [
		entry('b', { path: '/x/b', size: 1 }),
		entry('b', { path: '/a/b', size: 1 }),
		entry('a', { size: 3, modified_time: '2024-01-01T00:00:00.123456789Z' }),
		entry('z', { type: 'directory' }),
	];
	const paths = (...how: [Parameters<typeof sortEntries>[1], 'asc' | 'desc']) =>
		sortEntries(list, ...how).map((e) => e.path);
	it('has folders first, and what is alike by path', () =>
		expect(paths('name', 'asc')).toEqual(['/z', '/a', '/a/b', '/x/b']));
	it('downwards', () => expect(paths('size', 'desc')).toEqual(['/z', '/a', '/x/b', '/a/b']));
	it('by time', () => expect(paths('modified', 'desc')[1]).toBe('/a'));
});

describe('totals', () => {
	it('counts folders apart', () =>
		expect(
			totalOf(
				[entry('a'), entry('d', { type: 'directory', size: 4096 }), entry('x', { size: null })],
				new Set(['/a', '/d', '/x']),
			),
		).toEqual({ count: 3, bytes: 10, folders: 1 }));
});

describe('previews', () => {
	const bytes = (...b: number[]) => new Uint8Array(b);
	it('by name', () =>
		expect(['a.PNG', 'b.pdf', 'c.mp4', 'svg.svg', '.png'].map(previewKind)).toEqual([
			'image',
			'pdf',
			'video',
			'text',
			'text',
		]));
	it('UTF-8', () => expect(asText(bytes(0xc3, 0xbc), false)).toBe('ü'));
	it('a character cut in half', () => expect(asText(bytes(0x61, 0xc3), true)).toBe('a'));
	it('Windows text', () => expect(asText(bytes(0xfc), false)).toBe('ü'));
	it('UTF-16 with its mark', () => expect(asText(bytes(0xff, 0xfe, 0x61, 0), false)).toBe('a'));
	it('no text', () => expect(asText(bytes(0x7f, 0x45, 0), false)).toBeNull());
});
