import { ApiError, call, client, connected, downloadUrl, NetworkError, toApiError, type Schemas } from '@/api/client';
import { announce } from '@/lib/announce';
import { createStore } from '@/lib/store';
import { t } from '@/texts';
import { inParts } from './parts';
import { nextRate, startRate, type Rate } from './rate';
import { saveBlob, saveUrl } from './save';

export type State = 'counting' | 'asking' | 'starting' | 'running' | 'waiting' | 'done' | 'failed' | 'cancelled';

export interface Download {
	id: number;
	name: string;
	state: State;
	bytes: number;
	total: number;
	entries: number;
	entriesTotal: number;
	files: number;
	/** Entries that could not be read; `lost` names the first of them, and those that the format has no place for. */
	unread: number;
	lost: Schemas['LostEntry'][];
	rate: Rate;
	error: unknown;
	archive: boolean;
	/** Starts it anew. */
	again: () => void;
}

export const LARGE = 1e9;
/** Files up to here go through the page; larger ones the browser saves by itself, and the hub tells how far it is. */
const THROUGH_PAGE = 256e6;
const POLL_MS = 700;
/** How long the browser may take to begin, or to go on after a loss. */
const PATIENCE_MS = 60_000;
/** Of a request that names paths; the hub takes 1 MiB. */
const PATHS_CHARS = 400_000;

export const downloads = createStore<Download[]>([]);
export const active = (d: Download) => ['counting', 'asking', 'starting', 'running', 'waiting'].includes(d.state);

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
	if (!d || d.state === 'cancelled') return;
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

function begin(
	name: string,
	state: State,
	total: number,
	archive: boolean,
	again: () => void,
): [number, AbortController] {
	const id = ++lastId;
	const abort = new AbortController();
	aborts.set(id, abort);
	const fresh = {
		bytes: 0,
		entries: 0,
		entriesTotal: 0,
		files: 0,
		unread: 0,
		lost: [],
		error: null,
		rate: startRate(Date.now()),
	};
	downloads.set((list) => [...list, { id, name, state, total, archive, again, ...fresh }]);
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

/** An id that only this page knows. (randomUUID needs a secure context, which plain http to another machine is not.) */
function trackId(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Asks `once` again and again until it says that it is over. */
async function poll(id: number, once: (since: (ok: boolean) => number) => Promise<boolean>, signal: AbortSignal) {
	let well = Date.now();
	const since = (ok: boolean) => {
		if (ok) well = Date.now();
		return Date.now() - well;
	};
	while (!signal.aborted) {
		await pause(POLL_MS);
		try {
			if (signal.aborted || (await once(since))) return;
		} catch (e) {
			if (signal.aborted) return;
			if (!(e instanceof NetworkError)) throw e;
			change(id, { state: 'waiting' });
			since(true);
		}
	}
}

async function byBrowser(id: number, url: string, signal: AbortSignal) {
	const track = trackId();
	const params = { path: { download_id: track } };
	change(id, { state: 'starting', rate: startRate(Date.now()) });
	saveUrl(`${url}&track=${track}`);
	await poll(
		id,
		async (since) => {
			const d = await call(client.GET('/restore/downloads/{download_id}', { params, signal })).catch((e: unknown) => {
				if (e instanceof ApiError && e.code === 'NOT_FOUND') return null;
				throw e;
			});
			if (d === null) {
				if (since(false) > PATIENCE_MS) throw new Error(t.downloads.notBegun);
				return false;
			}
			progress(id, { bytes: d.bytes_done, state: d.state === 'interrupted' ? 'waiting' : 'running' });
			if (since(d.state !== 'interrupted') > PATIENCE_MS) throw new Error(t.downloads.interrupted);
			if (d.state === 'failed') throw new Error(d.error ?? t.downloads.interrupted);
			return d.state === 'complete';
		},
		signal,
	);
	if (signal.aborted) await call(client.DELETE('/restore/downloads/{download_id}', { params })).catch(() => undefined);
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
	const again = () => void downloadFile(mount, volume, path, name, size, stream);
	const [id, abort] = begin(stream ? `${name}:${stream}` : name, 'running', size, false, again);
	try {
		if (size > LARGE && !(await confirmed(id))) return;
		if (size > THROUGH_PAGE) await byBrowser(id, url, abort.signal);
		else await throughPage(id, url, name, size, abort.signal);
		end(id, 'done');
	} catch (e) {
		end(id, abort.signal.aborted ? 'cancelled' : 'failed', e);
	}
}

/* --- archives --------------------------------------------------------------------------------------- */

async function follow(id: number, archive: string, signal: AbortSignal) {
	const params = { path: { archive_id: archive } };
	await poll(
		id,
		async (since) => {
			const a = await call(client.GET('/restore/archives/{archive_id}', { params, signal }));
			const state = a.state === 'ready' ? 'starting' : 'running';
			progress(id, {
				bytes: Math.min(a.bytes_done, a.bytes),
				state,
				unread: a.errors,
				lost: a.error_entries,
				entries: a.entries_done,
			});
			if (since(a.state !== 'ready') > PATIENCE_MS) throw new Error(t.downloads.notBegun);
			if (a.state === 'cancelled') cancel(id);
			if (a.state === 'failed') throw new Error(a.error ?? t.downloads.interrupted);
			return a.state !== 'running' && a.state !== 'ready';
		},
		signal,
	);
	if (signal.aborted) await call(client.DELETE('/restore/archives/{archive_id}', { params })).catch(() => undefined);
}

/** Tells the hub what is chosen: in several requests where one does not hold all. */
async function prepare(
	id: number,
	mount: string,
	volume: number,
	paths: string[],
	format: Schemas['ArchiveFormat'],
	signal: AbortSignal,
): Promise<Schemas['Archive']> {
	const [first = [], ...more] = inParts(paths, PATHS_CHARS);
	let made = await call(
		client.POST('/restore/{mount_id}/archives', {
			params: { path: { mount_id: mount } },
			body: { paths: first, format, ...(volume > 0 && { volume }) },
			signal,
		}),
	);
	for (const part of more) {
		change(id, { entries: made.entries, bytes: made.bytes });
		const params = { path: { archive_id: made.archive_id } };
		made = await call(client.POST('/restore/archives/{archive_id}/paths', { params, body: { paths: part }, signal }));
	}
	change(id, { entries: 0, bytes: 0, total: made.bytes, entriesTotal: made.entries, files: made.files });
	return made;
}

export async function downloadArchive(
	mount: string,
	volume: number,
	paths: string[],
	name: string,
	format: Schemas['ArchiveFormat'],
) {
	const again = () => void downloadArchive(mount, volume, paths, name, format);
	const [id, abort] = begin(`${name}.${format}`, 'counting', 0, true, again);
	try {
		const a = await prepare(id, mount, volume, paths, format, abort.signal);
		if (a.bytes > LARGE && !(await confirmed(id))) {
			await call(client.DELETE('/restore/archives/{archive_id}', { params: { path: { archive_id: a.archive_id } } }));
			return;
		}
		change(id, { state: 'starting', rate: startRate(Date.now()) });
		saveUrl(`${a.url}?name=${encodeURIComponent(`${name}.${format}`)}`);
		await follow(id, a.archive_id, abort.signal);
		end(id, abort.signal.aborted ? 'cancelled' : 'done');
	} catch (e) {
		end(id, abort.signal.aborted ? 'cancelled' : 'failed', e);
	}
}
