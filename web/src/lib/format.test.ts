import { describe, expect, it } from 'vitest';
import { formatDate, formatDuration, formatMode, formatName, formatSize } from './format';

describe('formatSize', () => {
	it.each([
		[null, '—'],
		[0, '0 B'],
		[999, '999 B'],
		[1000, '1.0 KB'],
		[1536, '1.5 KB'],
		[999_999, '1.0 MB'],
		[123_456_789, '123 MB'],
		[2 ** 40, '1.1 TB'],
		[2 ** 63, '9223 PB'],
	])('%s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});

describe('formatName', () => {
	it.each([
		['Grüße 日本 😀.txt', 'Grüße 日本 😀.txt'],
		['two\nlines\x1b[31m', 'two\\x0alines\\x1b[31m'],
		['\uefe4\uefff', '\\xe4\\xff'],
		['\u202egnp.exe\u009b', '\\u{202e}gnp.exe\\u{009b}'],
	])('%j', (name, text) => expect(formatName(name)).toBe(text));
});

describe('formatMode', () => {
	it.each([
		['0644', 'file', '-rw-r--r--'],
		['0755', 'directory', 'drwxr-xr-x'],
		['4755', 'file', '-rwsr-xr-x'],
		['1777', 'directory', 'drwxrwxrwt'],
		['2640', 'file', '-rw-r-S---'],
		[null, 'file', '—'],
	])('%s of a %s', (mode, type, text) => expect(formatMode(mode, type)).toBe(text));
});

describe('formatDuration', () => {
	it.each([
		[-5, '0 s'],
		[59, '59 s'],
		[61, '1 min 01 s'],
		[3599, '59 min 59 s'],
		[7260, '2 h 01 min'],
		[90_000, '1 d 1 h'],
	])('%s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('formatDate', () => {
	it('takes nanoseconds', () => expect(formatDate('2021-05-08T09:14:41.642629900Z')).toContain('2021'));
	it('takes what is no date', () => expect(formatDate('soon')).toBe('—'));
});
