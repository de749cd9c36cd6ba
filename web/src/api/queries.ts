import { useEffect, useRef, useState } from 'react';
import { QueryClient, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ApiError, call, client, NetworkError, sessionEnded, type Schemas } from './client';

const BUSY = new Set(['WORKER_DIED', 'WORKER_TIMEOUT', 'NO_MEMORY']);

/** A lost connection is tried again without end, a busy hub twice, all else not at all. */
export function shouldRetry(failures: number, error: unknown): boolean {
	if (error instanceof NetworkError) return true;
	return error instanceof ApiError && BUSY.has(error.code) && failures < 2;
}

export const queryClient = new QueryClient({
	defaultOptions: {
		queries: {
			retry: shouldRetry,
			retryDelay: (n) => Math.min(1000 * 2 ** n, 8000),
			networkMode: 'always',
			staleTime: 5000,
			refetchOnWindowFocus: true,
		},
		mutations: { networkMode: 'always' },
	},
});

const CSRF = { 'X-Sendense-CSRF': '1' } as const;

export const useSession = () =>
	useQuery({
		queryKey: ['session'],
		queryFn: ({ signal }) => call(client.GET('/session', { signal })),
		staleTime: 60_000,
	});

export function useSignIn() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: async (body: { token: string } | { code: string }) => {
			const ended = sessionEnded.get();
			// A wrong token ends no session, and revives none.
			return call(client.POST('/session', { params: { header: CSRF }, body })).catch((e: unknown) => {
				sessionEnded.set(ended);
				throw e;
			});
		},
		onSuccess: async (session) => {
			sessionEnded.set(false);
			cache.setQueryData(['session'], session);
			await cache.invalidateQueries();
		},
	});
}

export function useSignOut() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: () => call(client.DELETE('/session', { params: { header: CSRF } })),
		onSuccess: (session) => {
			cache.clear();
			cache.setQueryData(['session'], session);
		},
	});
}

export const useVms = () =>
	useQuery({ queryKey: ['vms'], queryFn: ({ signal }) => call(client.GET('/vm-contexts', { signal })) });

/** All restore points, or those of a VM; newest first. */
export const useBackups = (vm?: string) =>
	useQuery({
		queryKey: ['backups', vm ?? null],
		queryFn: ({ signal }) =>
			call(client.GET('/backups', { params: { query: vm ? { vm_context_id: vm } : {} }, signal })),
		enabled: vm !== '',
	});

export const useRepositories = () =>
	useQuery({ queryKey: ['repositories'], queryFn: ({ signal }) => call(client.GET('/repositories', { signal })) });

export const useResources = () =>
	useQuery({
		queryKey: ['resources'],
		queryFn: ({ signal }) => call(client.GET('/restore/resources', { signal })),
		refetchInterval: 10_000,
	});

export const useMounts = () =>
	useQuery({
		queryKey: ['mounts'],
		queryFn: ({ signal }) => call(client.GET('/restore/mounts', { signal })),
		refetchInterval: 10_000,
	});

export const useMountInfo = (id: string | null) =>
	useQuery({
		queryKey: ['mount', id],
		enabled: id !== null,
		queryFn: ({ signal }) =>
			call(client.GET('/restore/{mount_id}', { params: { path: { mount_id: id ?? '' } }, signal })),
		staleTime: 60_000,
	});

export function useMountDisk() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: (body: Schemas['MountRequest']) => call(client.POST('/restore/mount', { body })),
		onSuccess: (mount) => {
			cache.setQueryData(['mount', mount.mount_id], mount);
			void cache.invalidateQueries({ queryKey: ['mounts'] });
			void cache.invalidateQueries({ queryKey: ['resources'] });
		},
	});
}

/** Not a mutation: those keep what they were given for minutes, and this is a key. */
export function useUnlock(mount: string) {
	const cache = useQueryClient();
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<unknown>(null);
	const alive = useRef<AbortController>(null);
	useEffect(() => {
		const abort = (alive.current = new AbortController());
		return () => abort.abort();
	}, []);
	const unlock = async (body: Schemas['UnlockRequest']): Promise<Schemas['Mount'] | null> => {
		const signal = alive.current?.signal ?? null;
		setBusy(true);
		setError(null);
		try {
			const path = { mount_id: mount };
			const answer = await call(client.POST('/restore/{mount_id}/unlock', { params: { path }, body, signal }));
			cache.setQueryData(['mount', mount], answer);
			void cache.invalidateQueries({ queryKey: ['mounts'] });
			return answer;
		} catch (e) {
			if (!signal?.aborted) setError(e);
			return null;
		} finally {
			setBusy(false);
		}
	};
	return { unlock, busy, error, forget: () => setError(null) };
}

export function useUnmount() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: (id: string) => call(client.DELETE('/restore/{mount_id}', { params: { path: { mount_id: id } } })),
		onSettled: async (_data, _error, id) => {
			cache.removeQueries({ queryKey: ['files', id] });
			await Promise.all([
				cache.invalidateQueries({ queryKey: ['mounts'] }),
				cache.invalidateQueries({ queryKey: ['mount', id] }),
				cache.invalidateQueries({ queryKey: ['resources'] }),
			]);
		},
	});
}

export function useAddRepository() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: (body: { name: string; location: string }) =>
			call(client.POST('/repositories', { body: { ...body, type: 'local' } })),
		onSuccess: () => cache.invalidateQueries({ queryKey: ['repositories'] }),
	});
}

export function useRemoveRepository() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: (id: string) =>
			call(
				client.DELETE('/repositories/{repository_id}', {
					params: { path: { repository_id: id }, query: { backups: 'forget' } },
				}),
			),
		onSuccess: () => cache.invalidateQueries(),
	});
}

export function useScan() {
	const cache = useQueryClient();
	return useMutation({
		mutationFn: (id: string) =>
			call(client.POST('/repositories/{repository_id}/scan', { params: { path: { repository_id: id } } })),
		onSuccess: () =>
			Promise.all([cache.invalidateQueries({ queryKey: ['vms'] }), cache.invalidateQueries({ queryKey: ['backups'] })]),
	});
}

export const useFileInfo = (mount: string, volume: number, path: string) =>
	useQuery({
		queryKey: ['info', mount, volume, path],
		queryFn: ({ signal }) =>
			call(
				client.GET('/restore/{mount_id}/file-info', {
					params: { path: { mount_id: mount }, query: { path, volume } },
					signal,
				}),
			),
		staleTime: Infinity,
	});

/** What lies at and beneath a folder and has the text in its name; the hub ends a long list. */
export const useFound = (mount: string, volume: number, path: string, q: string) =>
	useQuery({
		queryKey: ['files', mount, volume, path, 'found', q],
		enabled: q !== '',
		queryFn: ({ signal }) =>
			call(
				client.GET('/restore/{mount_id}/search', {
					params: { path: { mount_id: mount }, query: { q, path, ...(volume > 0 && { volume }) } },
					signal,
				}),
			),
		staleTime: Infinity,
		refetchOnWindowFocus: false,
		structuralSharing: false,
	});

export type Sort = 'name' | 'size' | 'modified' | 'mode' | 'owner';

const FIRST_PAGE = 500;
const NEXT_PAGE = 5000;

/** A folder, page by page. A restore point never changes: what was read stays good. */
export const useFiles = (mount: string, volume: number, path: string, sort: Sort, order: 'asc' | 'desc') =>
	useInfiniteQuery({
		queryKey: ['files', mount, volume, path, sort, order],
		initialPageParam: null as string | null,
		queryFn: ({ pageParam, signal }) =>
			call(
				client.GET('/restore/{mount_id}/files', {
					params: {
						path: { mount_id: mount },
						query: {
							path,
							sort,
							order,
							limit: pageParam ? NEXT_PAGE : FIRST_PAGE,
							...(volume > 0 && { volume }),
							...(pageParam && { cursor: pageParam }),
						},
					},
					signal,
				}),
			),
		getNextPageParam: (last) => last.next_cursor,
		staleTime: Infinity,
		refetchOnWindowFocus: false,
		structuralSharing: false,
	});
