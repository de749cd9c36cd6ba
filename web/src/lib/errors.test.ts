import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ApiError, NetworkError, toApiError } from '@/api/client';
import { t } from '@/texts';
import { explain } from './errors';

describe('words for errors', () => {
	const header = readFileSync(new URL('../../../src/base/err.h', import.meta.url), 'utf8');
	const codes = [...header.matchAll(/X\(ERR_\w+, "(\w+)"\)/g)].map((m) => m[1] ?? '');
	it('the hub has codes', () => expect(codes.length).toBeGreaterThan(40));
	it.each(codes)('%s', (code) => expect(t.errors.byCode[code]?.[0]).toBeTruthy());
	it('the hub’s own sentence is kept where it says more', () =>
		expect(explain(new ApiError(422, 'IMAGE_CORRUPT', 'table 3 lies outside', {})).detail).toBe(
			'Table 3 lies outside.',
		));
	it('a code of a newer hub', () =>
		expect(explain(new ApiError(500, 'NEW', 'what now', {})).title).toBe(t.errors.unknown));
	it('no network', () => expect(explain(new NetworkError()).title).toContain('reached'));
	it('an answer that is no error body', () => expect(toApiError(502, '<html>').code).toBe('INTERNAL'));
});
