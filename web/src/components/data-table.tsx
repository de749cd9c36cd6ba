import {
	flexRender,
	getCoreRowModel,
	getFilteredRowModel,
	getSortedRowModel,
	useReactTable,
	type ColumnDef,
	type RowData,
	type SortingState,
} from '@tanstack/react-table';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { cn } from '@/lib/cn';

declare module '@tanstack/react-table' {
	interface ColumnMeta<TData extends RowData, TValue> {
		/** Numbers stand at the right. */
		right?: boolean;
		/** Heads the card that a row becomes on a narrow screen. */
		head?: boolean;
		hideLabel?: boolean;
		_?: [TData, TValue];
	}
}

/** A sortable list; on a narrow screen each row is a card. */
export function DataTable<T>({
	rows,
	columns,
	search,
	sort,
	label,
	empty,
}: {
	rows: T[];
	columns: ColumnDef<T>[];
	search: string;
	sort: SortingState;
	label: string;
	empty: ReactNode;
}) {
	const [sorting, setSorting] = useState<SortingState>(sort);
	const table = useReactTable({
		data: rows,
		columns,
		state: { sorting, globalFilter: search },
		onSortingChange: setSorting,
		globalFilterFn: 'includesString',
		getCoreRowModel: getCoreRowModel(),
		getFilteredRowModel: getFilteredRowModel(),
		getSortedRowModel: getSortedRowModel(),
	});
	const shown = table.getRowModel().rows;
	if (shown.length === 0) return <>{empty}</>;
	return (
		<table className="w-full text-sm" aria-label={label}>
			<thead className="hidden border-b text-left text-muted md:table-header-group">
				{table.getHeaderGroups().map((group) => (
					<tr key={group.id}>
						{group.headers.map((h) => {
							const sorted = h.column.getIsSorted();
							const right = h.column.columnDef.meta?.right;
							return (
								<th
									key={h.id}
									scope="col"
									className={cn('px-4 py-1 font-medium', right && 'text-right')}
									{...(h.column.getCanSort() && {
										'aria-sort': sorted === 'asc' ? 'ascending' : sorted === 'desc' ? 'descending' : 'none',
									})}
								>
									{h.column.getCanSort() ? (
										<button
											type="button"
											className="inline-flex min-h-9 items-center gap-1 rounded hover:text-ink"
											onClick={h.column.getToggleSortingHandler()}
										>
											{flexRender(h.column.columnDef.header, h.getContext())}
											{sorted === 'asc' && <ArrowUp className="size-3.5" aria-hidden />}
											{sorted === 'desc' && <ArrowDown className="size-3.5" aria-hidden />}
										</button>
									) : (
										<span className={cn(h.column.columnDef.meta?.hideLabel && 'sr-only')}>
											{flexRender(h.column.columnDef.header, h.getContext())}
										</span>
									)}
								</th>
							);
						})}
					</tr>
				))}
			</thead>
			<tbody className="divide-y">
				{shown.map((row) => (
					<tr key={row.id} className="block px-4 py-3 md:table-row md:hover:bg-raised/60">
						{row.getVisibleCells().map((cell) => {
							const meta = cell.column.columnDef.meta;
							return (
								<td
									key={cell.id}
									className={cn(
										'flex items-center justify-between gap-4 py-0.5 md:table-cell md:px-4 md:py-2.5',
										meta?.right && 'md:text-right md:tabular-nums',
										meta?.head && 'text-base font-medium md:text-sm',
									)}
								>
									{!meta?.head && !meta?.hideLabel && (
										<span className="text-muted md:hidden" aria-hidden>
											{flexRender(cell.column.columnDef.header, cell.getContext() as never)}
										</span>
									)}
									<span
										className={cn(
											'min-w-0 break-words',
											!meta?.head && 'text-right md:text-left',
											meta?.right && 'md:text-right',
										)}
									>
										{flexRender(cell.column.columnDef.cell, cell.getContext())}
									</span>
								</td>
							);
						})}
					</tr>
				))}
			</tbody>
		</table>
	);
}
