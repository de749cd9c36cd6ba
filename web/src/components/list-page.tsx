import type { ColumnDef, SortingState } from '@tanstack/react-table';
import { SearchX } from 'lucide-react';
import type { ReactNode } from 'react';
import { DataTable } from '@/components/data-table';
import { Problem } from '@/components/problem';
import { Card, Empty, Input, PageHead, Select, SkeletonRows } from '@/components/ui';
import { useTitle } from '@/lib/hooks';
import { setSearch, useSearch } from '@/lib/router';
import { t } from '@/texts';

export interface Filter {
	/** Its parameter in the address. */
	key: string;
	label: string;
	options: readonly (readonly [value: string, text: string])[];
}

/** The search field of a list; what is typed stands in the address as `q`. */
export function SearchField({ label }: { label: string }) {
	return (
		<Input
			type="search"
			className="sm:w-56"
			aria-label={label}
			placeholder={t.search}
			value={useSearch().get('q') ?? ''}
			onChange={(e) => setSearch({ q: e.target.value || null })}
		/>
	);
}

function FilterSelect({ filter }: { filter: Filter }) {
	return (
		<Select
			aria-label={filter.label}
			className="min-w-0 flex-1 sm:flex-none"
			value={useSearch().get(filter.key) ?? ''}
			onChange={(e) => setSearch({ [filter.key]: e.target.value || null })}
		>
			<option value="">
				{filter.label}: {t.all}
			</option>
			{filter.options.map(([value, text]) => (
				<option key={value} value={value}>
					{text}
				</option>
			))}
		</Select>
	);
}

/** A page that is one list: search, filters, a sortable table, and what is said when it is empty. */
export function ListPage<T>({
	title,
	lead,
	searchLabel,
	filters,
	query,
	rows,
	total,
	columns,
	sort,
	empty,
	noMatch,
}: {
	title: string;
	lead?: string;
	searchLabel: string;
	filters: readonly Filter[];
	query: { isPending: boolean; isError: boolean; error: unknown; refetch: () => unknown };
	/** What the filters leave; the search is applied here. */
	rows: T[];
	total: number;
	columns: ColumnDef<T>[];
	sort: SortingState;
	empty: ReactNode;
	noMatch: string;
}) {
	useTitle(title);
	const q = useSearch().get('q') ?? '';
	return (
		<>
			<PageHead title={title} {...(lead && { lead })}>
				<div className="flex w-full flex-wrap gap-2 sm:w-auto">
					<SearchField label={searchLabel} />
					{filters
						.filter((f) => f.options.length > 1)
						.map((f) => (
							<FilterSelect key={f.key} filter={f} />
						))}
				</div>
			</PageHead>
			<Card className="overflow-hidden">
				{query.isPending ? (
					<SkeletonRows />
				) : query.isError ? (
					<Problem error={query.error} onRetry={() => void query.refetch()} />
				) : (
					<DataTable
						label={title}
						rows={rows}
						columns={columns}
						search={q}
						sort={sort}
						empty={total === 0 ? empty : <Empty icon={SearchX} title={noMatch} />}
					/>
				)}
			</Card>
		</>
	);
}
