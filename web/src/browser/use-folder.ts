import { useEffect, useMemo } from 'react';
import { useFiles } from '@/api/queries';
import { filterEntries, serverSort, sortEntries, type Entry, type Order, type Sort } from './view';

/** The rest of a folder is read by itself up to here, so that filter and sorting see all of it. */
const READ_AHEAD_MAX = 300_000;

export interface Folder {
	rows: Entry[];
	loaded: number;
	total: number;
	pending: boolean;
	error: unknown;
	/** The folder is there, but its rest could not be read. */
	retry: () => void;
	volume: number;
}

export function useFolder(mount: string, volume: number, path: string, sort: Sort, order: Order, q: string): Folder {
	const files = useFiles(mount, volume, path, serverSort(sort), serverSort(sort) === sort ? order : 'asc');
	const { hasNextPage, isFetching, isError, fetchNextPage } = files;
	const entries = useMemo(() => files.data?.pages.flatMap((p) => p.files) ?? [], [files.data]);
	const loaded = entries.length;
	useEffect(() => {
		if (hasNextPage && !isFetching && !isError && loaded < READ_AHEAD_MAX) void fetchNextPage();
	}, [hasNextPage, isFetching, isError, loaded, fetchNextPage]);
	const rows = useMemo(() => sortEntries(filterEntries(entries, q), sort, order), [entries, q, sort, order]);
	return {
		rows,
		loaded,
		total: files.data?.pages[0]?.total_count ?? 0,
		volume: files.data?.pages[0]?.volume ?? volume,
		pending: files.isPending,
		error: files.error,
		retry: () => void (files.data ? fetchNextPage() : files.refetch()),
	};
}
