import type { ColumnDef } from '@tanstack/react-table';
import { History, SearchX } from 'lucide-react';
import type { Schemas } from '@/api/client';
import { useBackups } from '@/api/queries';
import { StatusBadge, TypeBadge } from '@/components/backup-badges';
import { DataTable } from '@/components/data-table';
import { Problem } from '@/components/problem';
import { Button, Card, Empty, Input, PageHead, Select, SkeletonRows } from '@/components/ui';
import { sizeBytes, storedBytes } from '@/lib/chains';
import { formatDate, formatSize } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { restoreUrl } from '@/lib/links';
import { Link, setSearch, useSearch } from '@/lib/router';
import { t } from '@/texts';

type Backup = Schemas['Backup'];

const columns: ColumnDef<Backup>[] = [
	{
		accessorKey: 'vm_name',
		header: t.backups.vm,
		meta: { head: true },
		cell: ({ row }) => (
			<Link
				href={`/vms/${encodeURIComponent(row.original.vm_context_id)}`}
				className="inline-flex min-h-11 items-center font-medium text-accent hover:underline md:min-h-6"
			>
				{row.original.vm_name}
			</Link>
		),
	},
	{ accessorKey: 'created_at', header: t.backups.created, cell: ({ row }) => formatDate(row.original.created_at) },
	{
		accessorKey: 'backup_id',
		header: t.backups.point,
		cell: ({ row }) => <span className="break-words text-muted">{row.original.backup_id}</span>,
	},
	{
		accessorKey: 'backup_type',
		header: t.backups.type,
		cell: ({ row }) => <TypeBadge type={row.original.backup_type} />,
	},
	{ accessorKey: 'status', header: t.backups.status, cell: ({ row }) => <StatusBadge status={row.original.status} /> },
	{
		id: 'size',
		accessorFn: sizeBytes,
		header: t.backups.size,
		meta: { right: true },
		cell: (c) => formatSize(c.getValue<number>()),
	},
	{
		id: 'stored',
		accessorFn: storedBytes,
		header: t.backups.stored,
		meta: { right: true },
		cell: (c) => formatSize(c.getValue<number>()),
	},
	{
		id: 'restore',
		header: t.backups.restore,
		enableSorting: false,
		meta: { right: true, hideLabel: true },
		cell: ({ row }) =>
			row.original.status === 'completed' && (
				<Button asChild>
					<Link href={restoreUrl(row.original.vm_context_id, row.original.backup_id)}>
						{t.backups.restore}
						<span className="sr-only">: {row.original.backup_id}</span>
					</Link>
				</Button>
			),
	},
];

export function Backups() {
	useTitle(t.backups.title);
	const backups = useBackups();
	const search = useSearch();
	const q = search.get('q') ?? '';
	const type = search.get('type') ?? '';
	const status = search.get('status') ?? '';
	const all = backups.data?.backups ?? [];
	const rows = all.filter((b) => (!type || b.backup_type === type) && (!status || b.status === status));
	return (
		<>
			<PageHead title={t.backups.title}>
				<div className="flex w-full flex-wrap gap-2 sm:w-auto">
					<Input
						type="search"
						className="sm:w-56"
						aria-label={t.backups.searchLabel}
						placeholder={t.search}
						value={q}
						onChange={(e) => setSearch({ q: e.target.value || null })}
					/>
					<Select
						aria-label={t.backups.filterType}
						value={type}
						onChange={(e) => setSearch({ type: e.target.value || null })}
					>
						<option value="">
							{t.backups.filterType}: {t.all}
						</option>
						{Object.entries(t.backups.types).map(([value, text]) => (
							<option key={value} value={value}>
								{text}
							</option>
						))}
					</Select>
					<Select
						aria-label={t.backups.filterStatus}
						value={status}
						onChange={(e) => setSearch({ status: e.target.value || null })}
					>
						<option value="">
							{t.backups.filterStatus}: {t.all}
						</option>
						{Object.entries(t.backups.statuses).map(([value, text]) => (
							<option key={value} value={value}>
								{text}
							</option>
						))}
					</Select>
				</div>
			</PageHead>
			<Card className="overflow-hidden">
				{backups.isPending ? (
					<SkeletonRows />
				) : backups.isError ? (
					<Problem error={backups.error} onRetry={() => void backups.refetch()} />
				) : (
					<DataTable
						label={t.backups.title}
						rows={rows}
						columns={columns}
						search={q}
						sort={[{ id: 'created_at', desc: true }]}
						empty={
							all.length === 0 ? (
								<Empty icon={History} title={t.backups.empty} hint={t.backups.emptyHint} />
							) : (
								<Empty icon={SearchX} title={t.backups.noMatch} />
							)
						}
					/>
				)}
			</Card>
		</>
	);
}
