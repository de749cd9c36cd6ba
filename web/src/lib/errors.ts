import { ApiError, NetworkError } from '@/api/client';
import { t } from '@/texts';

export interface Explanation {
	title: string;
	advice: string;
	/** The hub's own sentence. */
	detail: string;
	code: string;
}

export function sentence(text: string): string {
	if (!text) return '';
	// A word is capitalised, the name of a file is not.
	const first = /^[a-z]+(['’ ,;:]|$)/.test(text) ? text.slice(0, 1).toUpperCase() + text.slice(1) : text;
	return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Where the hub's sentence says no more than the page's own words. */
const SAID = new Set([
	'ALREADY_MOUNTED',
	'NO_SLOT',
	'MOUNT_NOT_FOUND',
	'BACKUP_NOT_FOUND',
	'UNAUTHORIZED',
	'VOLUME_LOCKED',
]);

export function explain(error: unknown): Explanation {
	if (error instanceof NetworkError) {
		const [title = '', advice = ''] = t.errors.network;
		return { title, advice, detail: '', code: '' };
	}
	if (error instanceof ApiError) {
		const words = t.errors.byCode[error.code];
		return {
			title: words?.[0] ?? t.errors.unknown,
			advice: words?.[1] ?? '',
			detail: SAID.has(error.code) ? '' : sentence(error.message),
			code: error.code,
		};
	}
	return { title: t.errors.unknown, advice: '', detail: error instanceof Error ? error.message : '', code: '' };
}
