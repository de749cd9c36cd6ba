import { ApiError, call, client, connected, downloadUrl, NetworkError, toApiError, type Schemas } from '@/api/client';
import { announce } from '@/lib/announce';
import { createStore } from '@/lib/store';
import { t } from '@/texts';
import { nextRate, startRate, type Rate } from './rate';
import { saveBlob, saveUrl } from './save';

export type State = 'counting' | 'asking' | 'running' | 'waiting' | 'handed' | 'done' | 'failed' | 'cancelled';

export interface Download {
	id: number;
	name: string;
	state: State;
	bytes: number;
	total: number;
	entries: number;
	entriesTotal: number;
	files: number;
	/** Entries that could not be read. */
	unread: number;
	rate: Rate;
	error: unknown;
	archive: boolean;
}

export const LARGE = 1e9;
/** Files up to here go through the page, which can show progress and resume; larger ones are the browser's own affair. */
const THROUGH_PAGE = 256e6;
const POLL_MS = 700;

export const downloads = createStore<Download[]>([]);
export const active = (d: Download) => ['counting', 'asking', 'running', 'waiting'].includes(d.state);

const aborts = new Map<number, AbortController>();
const answers = new Map<number, (go: boolean) => void>();
const milestones = new Map<number, number>();
let lastId = 0;

function change(id: number, changes: Partial<Download>) {
	downloads.set((list) => list.map((d) => (d.id === id ? { ...d, ...changes } : d)));
}

const find = (id: number) => downloads.get().find((d) => d.id === id);

function progress(id: number, changes: Partial<Download> & { bytes: number }) {
	const d = find(id);
	if (!d) return;
	change(id, { ...changes, rate: nextRate(d.rate, changes.bytes, Date.now()) });
	const quarter = d.total > 0 ? Math.floor((changes.bytes / d.total) * 4) : 0;
	if (quarter > (milestones.get(id) ?? 0) && quarter < 4) {
		milestones.set(id, quarter);
		announce(t.downloads.announceProgress(d.name, quarter * 25));
	}
}

function end(id: number, state: State, error: unknown = null) {
	const d = find(id);
	aborts.delete(id);
	answers.delete(id);
	milestones.delete(id);
	if (!d || d.state === 'cancelled') return;
	change(id, { state, error, ...(state === 'done' && { bytes: d.total, entries: d.entriesTotal }) });
	if (state === 'done') announce(t.downloads.announceDone(d.name));
	if (state === 'failed') announce(t.downloads.announceFailed(d.name));
}

function begin(name: string, state: State, total: number, archive: boolean): [number, AbortController] {
	const id = ++lastId;
	const abort = new AbortController();
	aborts.set(id, abort);
	const fresh = {
		bytes: 0,
		entries: 0,
		entriesTotal: 0,
		files: 0,
		unread: 0,
		error: null,
		rate: startRate(Date.now()),
	};
	downloads.set((list) => [...list, { id, name, state, total, archive, ...fresh }]);
	return [id, abort];
}

/** Asks about something large; the tray's dialog answers. */
function confirmed(id: number): Promise<boolean> {
	change(id, { state: 'asking' });
	return new Promise((resolve) => answers.set(id, resolve));
}

export function answer(id: number, go: boolean) {
	answers.get(id)?.(go);
	if (!go) cancel(id);
}

export function cancel(id: number) {
	change(id, { state: 'cancelled' });
	aborts.get(id)?.abort();
}

export function clearFinished() {
	downloads.set((list) => list.filter(active));
}

export function remove(id: number) {
	downloads.set((list) => list.filter((d) => d.id !== id));
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/* --- one file --------------------------------------------------------------------------------------- */

/** Reads on from where the parts end; the ETag makes sure that it is still the same file. */
async function readOn(
	id: number,
	url: string,
	parts: BlobPart[],
	got: { bytes: number; etag: string },
	signal: AbortSignal,
) {
	const headers: Record<string, string> = got.bytes > 0 ? { Range: `bytes=${got.bytes}-`, 'If-Range': got.etag } : {};
	const response = await fetch(url, { headers, signal });
	if (!response.ok || !response.body) throw toApiError(response.status, await response.json().catch(() => null));
	if (response.status === 200) {
		parts.length = 0;
		got.bytes = 0;
	}
	got.etag = response.headers.get('ETag') ?? '';
	connected.set(true);
	change(id, { state: 'running' });
	const reader = response.body.getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		parts.push(value as Uint8Array<ArrayBuffer>);
		got.bytes += value.byteLength;
		progress(id, { bytes: got.bytes });
	}
}

/** How often a file that breaks off is tried on while the hub answers: damage does not go away by asking. */
const TRIES = 3;

async function throughPage(id: number, url: string, name: string, total: number, signal: AbortSignal) {
	const parts: BlobPart[] = [];
	const got = { bytes: 0, etag: '' };
	for (let tries = 0; ;) {
		try {
			if (got.bytes < total || total === 0) await readOn(id, url, parts, got, signal);
			break;
		} catch (e) {
			if (signal.aborted || e instanceof ApiError) throw e;
			change(id, { state: 'waiting' });
			const up = await fetch('/api/v1/healthz', { cache: 'no-store' }).then(
				(r) => r.ok,
				() => false,
			);
			if (up && ++tries >= TRIES) throw new Error(t.downloads.interrupted);
			if (!up) connected.set(false);
			await pause(2000);
			if (signal.aborted) throw e;
		}
	}
	saveBlob(new Blob(parts), name);
}

export async function downloadFile(
	mount: string,
	volume: number,
	path: string,
	name: string,
	size: number,
	stream?: string,
) {
	const url = downloadUrl(mount, volume, path, stream ? { stream } : {});
	const [id, abort] = begin(stream ? `${name}:${stream}` : name, 'running', size, false);
	try {
		if (size > LARGE && !(await confirmed(id))) return;
		if (size > THROUGH_PAGE) {
			saveUrl(url);
			end(id, 'handed');
			return;
		}
		await throughPage(id, url, name, size, abort.signal);
		end(id, 'done');
	} catch (e) {
		end(id, abort.signal.aborted ? 'cancelled' : 'failed', e);
	}
}

/* --- archives --------------------------------------------------------------------------------------- */

async function follow(id: number, archive: string, signal: AbortSignal) {
	const path = { archive_id: archive };
	for (;;) {
		await pause(POLL_MS);
		if (signal.aborted) {
			await call(client.DELETE('/restore/archives/{archive_id}', { params: { path } })).catch(() => undefined);
			return;
		}
		try {
			const a = await call(client.GET('/restore/archives/{archive_id}', { params: { path } }));
			if (find(id)?.state !== 'cancelled') change(id, { state: 'running', unread: a.errors, entries: a.entries_done });
			progress(id, { bytes: Math.min(a.bytes_done, a.bytes) });
			if (a.state === 'complete') return end(id, 'done');
			if (a.state === 'cancelled') return end(id, 'cancelled');
			if (a.state === 'failed') return end(id, 'failed', new Error(a.error ?? t.downloads.interrupted));
		} catch (e) {
			if (!(e instanceof NetworkError)) return end(id, 'failed', e);
			change(id, { state: 'waiting' });
		}
	}
}

export async function downloadArchive(
	mount: string,
	volume: number,
	paths: string[],
	name: string,
	format: Schemas['ArchiveFormat'],
) {
	const [id, abort] = begin(`${name}.${format}`, 'counting', 0, true);
	try {
		const a = await call(
			client.POST('/restore/{mount_id}/archives', {
				params: { path: { mount_id: mount } },
				body: { paths, format, ...(volume > 0 && { volume }) },
				signal: abort.signal,
			}),
		);
		change(id, { total: a.bytes, entriesTotal: a.entries, files: a.files });
		if (a.bytes > LARGE && !(await confirmed(id))) {
			await call(client.DELETE('/restore/archives/{archive_id}', { params: { path: { archive_id: a.archive_id } } }));
			return;
		}
		change(id, { state: 'running', rate: startRate(Date.now()) });
		saveUrl(a.url, `${name}.${format}`);
		await follow(id, a.archive_id, abort.signal);
	} catch (e) {
		end(id, abort.signal.aborted ? 'cancelled' : 'failed', e);
	}
}
