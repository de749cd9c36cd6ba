import { useCallback, useEffect, useMemo } from 'react';
import { useFiles, useFound } from '@/api/queries';
import { filterEntries, sortEntries, type Entry, type Order, type Sort } from './view';

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

const nothing = () => undefined;

/** What lies beneath a folder and has `q` in its name, as useFolder gives a folder. */
export function useSearchBeneath(
	mount: string,
	volume: number,
	path: string,
	sort: Sort,
	order: Order,
	q: string,
): Folder & { cut: boolean } {
	const found = useFound(mount, volume, path, q);
	const files = found.data?.files;
	// The search sees the folder itself, too.
	const rows = useMemo(
		() => sortEntries(files?.filter((f) => f.path !== path) ?? [], sort, order),
		[files, path, sort, order],
	);
	const retry = () => void found.refetch();
	return {
		rows,
		loaded: rows.length,
		total: rows.length,
		volume: found.data?.volume ?? volume,
		pending: found.isPending,
		error: found.error,
		readOn: nothing,
		settled: true,
		retry,
		cut: found.data !== undefined && found.data.count >= found.data.limit,
	};
}
