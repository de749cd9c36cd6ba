import createClient from 'openapi-fetch';
import { createStore } from '@/lib/store';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** What the hub answered in place of what was asked for. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		readonly code: string,
		message: string,
		readonly details: Record<string, unknown>,
	) {
		super(message);
	}
}

/** No answer, or one that broke off. */
export class NetworkError extends Error {}

/** False while the hub cannot be reached. */
export const connected = createStore(true);
/** Set when a call says that the session is over. */
export const sessionEnded = createStore(false);

// Looked up anew at each call, so that tests and extensions that replace fetch are seen.
export const client = createClient<paths>({
	baseUrl: '/api/v1',
	headers: { 'X-Sendense-CSRF': '1' },
	fetch: (request) => globalThis.fetch(request),
});

export function toApiError(status: number, body: unknown): ApiError {
	const b = (typeof body === 'object' && body !== null ? body : {}) as Partial<Schemas['Error']>;
	const code = b.code ?? (status === 413 ? 'LIMIT_EXCEEDED' : 'INTERNAL');
	return new ApiError(status, code, b.error ?? '', b.details ?? {});
}

interface Answer<T> {
	data?: T;
	error?: unknown;
	response: Response;
}

/** The answer's data, or an ApiError, a NetworkError, or the caller's own abort. */
export async function call<T>(request: Promise<Answer<T>>): Promise<T> {
	let answer: Answer<T>;
	try {
		answer = await request;
	} catch (e) {
		if (e instanceof DOMException && e.name === 'AbortError') throw e;
		connected.set(false);
		throw new NetworkError();
	}
	connected.set(true);
	if (answer.response.ok) return answer.data as T;
	const error = toApiError(answer.response.status, answer.error);
	if (error.status === 401) sessionEnded.set(true);
	throw error;
}

export function downloadUrl(mount: string, volume: number, path: string, more: Record<string, string> = {}): string {
	const query = new URLSearchParams({ path, volume: String(volume), ...more });
	return `/api/v1/restore/${encodeURIComponent(mount)}/download?${query}`;
}
