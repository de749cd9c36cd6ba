import { expect, it } from 'vitest';
import { nextRate, startRate, timeLeft } from './rate';

it('knows speed and time left', () => {
	const r = nextRate(startRate(0), 1_000_000, 1000);
	expect(r.speed).toBe(1_000_000);
	expect(timeLeft(r, 1_000_000, 3_000_000)).toBe(2);
});
it('waits for a measurable step', () => {
	const r = startRate(0);
	expect(nextRate(r, 50, 100)).toBe(r);
	expect(timeLeft(r, 0, 100)).toBeNull();
});
it('smooths', () => {
	const r = nextRate(nextRate(startRate(0), 1000, 1000), 1000, 2000);
	expect(r.speed).toBeCloseTo(700);
});
