import { describe, expect, it } from 'vitest';
import { baseName, browserUrl, childOn, join, parent, parseBrowserUrl } from './paths';

describe('addresses of folders', () => {
	it.each(['/', '/home/anna', '/a b/ü%2f?#&', '/..a/. /100%', '/\uef80\uefff'])('%s survives', (path) => {
		const url = browserUrl({ mount: 'id', volume: 2, path });
		expect(parseBrowserUrl(url)).toEqual({ mount: 'id', volume: 2, path });
		expect(new URL(url, 'http://x').pathname).toBe(url);
	});
	it('a mount alone is its default volume', () =>
		expect(parseBrowserUrl('/restore/id')).toEqual({ mount: 'id', volume: 0, path: '/' }));
	it.each(['/restore', '/vms/x/1', '/restore/id/x', '/restore/id/-1', '/restore/id/1/%ff'])('%s is none', (url) =>
		expect(parseBrowserUrl(url)).toBeNull(),
	);
});

describe('paths', () => {
	it('parent', () => expect([parent('/a/b'), parent('/a'), parent('/')]).toEqual(['/a', '/', '/']));
	it('join', () => expect([join('/', 'a'), join('/a', 'b')]).toEqual(['/a', '/a/b']));
	it.each([
		['/', '/a/b', 'a'],
		['/a', '/a/b/c', 'b'],
		['/a', '/a', null],
		['/a', '/ab/c', null],
		['/a/b', '/a', null],
	])('on the way from %s to %s', (dir, path, name) => expect(childOn(dir, path)).toBe(name));
	it('baseName', () => expect([baseName('/a/b'), baseName('/')]).toEqual(['b', '']));
});
