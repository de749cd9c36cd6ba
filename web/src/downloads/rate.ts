/* Speed of a transfer, smoothed, and the time that is left. */

export interface Rate {
	at: number;
	bytes: number;
	/** Bytes a second; 0: not known yet. */
	speed: number;
}

const WEIGHT = 0.3;
const STEP_MS = 400;

export function startRate(now: number): Rate {
	return { at: now, bytes: 0, speed: 0 };
}

export function nextRate(rate: Rate, bytes: number, now: number): Rate {
	const ms = now - rate.at;
	if (ms < STEP_MS) return rate;
	const current = Math.max(0, ((bytes - rate.bytes) * 1000) / ms);
	return { at: now, bytes, speed: rate.speed === 0 ? current : rate.speed * (1 - WEIGHT) + current * WEIGHT };
}

/** Seconds; null: nobody can say. */
export function timeLeft(rate: Rate, bytes: number, total: number): number | null {
	return rate.speed > 0 && total > bytes ? (total - bytes) / rate.speed : null;
}
