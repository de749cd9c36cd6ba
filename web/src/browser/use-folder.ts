import { useCallback, useEffect, useMemo } from 'react';
import { useFiles } from '@/api/queries';
import { filterEntries, type Entry, type Order, type Sort } from './view';

/** The rest of a folder is read by itself up to here, so that the filter sees all of it; further rows when they come into view. */
const READ_AHEAD_MAX = 300_000;

export interface Folder {
	rows: Entry[];
	loaded: number;
	total: number;
	pending: boolean;
	error: unknown;
	/** The folder is there, but its rest could not be read. */
	retry: () => void;
	/** Rows beyond what was read ahead are in view. */
	readOn: () => void;
	/** All that is read without being asked for is read. */
	settled: boolean;
	volume: number;
}

export function useFolder(mount: string, volume: number, path: string, sort: Sort, order: Order, q: string): Folder {
	const files = useFiles(mount, volume, path, sort, order);
	const { hasNextPage, isFetching, isError, fetchNextPage } = files;
	const entries = useMemo(() => files.data?.pages.flatMap((p) => p.files) ?? [], [files.data]);
	const loaded = entries.length;
	useEffect(() => {
		if (hasNextPage && !isFetching && !isError && loaded < READ_AHEAD_MAX) void fetchNextPage();
	}, [hasNextPage, isFetching, isError, loaded, fetchNextPage]);
	const rows = useMemo(() => filterEntries(entries, q), [entries, q]);
	const readOn = useCallback(() => {
		if (hasNextPage && !isFetching) void fetchNextPage();
	}, [hasNextPage, isFetching, fetchNextPage]);
	return {
		rows,
		loaded,
		total: files.data?.pages[0]?.total_count ?? 0,
		volume: files.data?.pages[0]?.volume ?? volume,
		pending: files.isPending,
		error: files.error,
		readOn,
		settled: !hasNextPage || loaded >= READ_AHEAD_MAX,
		retry: () => void (files.data ? fetchNextPage() : files.refetch()),
	};
}
