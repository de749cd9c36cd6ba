import type { ColumnDef } from '@tanstack/react-table';
import { History } from 'lucide-react';
import type { Schemas } from '@/api/client';
import { useBackups } from '@/api/queries';
import { StatusBadge, TypeBadge } from '@/components/backup-badges';
import { ListPage } from '@/components/list-page';
import { Button, Empty } from '@/components/ui';
import { sizeBytes, storedBytes } from '@/lib/chains';
import { formatDate, formatSize } from '@/lib/format';
import { restoreUrl } from '@/lib/links';
import { Link, useSearch } from '@/lib/router';
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

const FILTERS = [
	{ key: 'type', label: t.backups.filterType, options: Object.entries(t.backups.types) },
	{ key: 'status', label: t.backups.filterStatus, options: Object.entries(t.backups.statuses) },
];

export function Backups() {
	const backups = useBackups();
	const search = useSearch();
	const type = search.get('type');
	const status = search.get('status');
	const all = backups.data?.backups ?? [];
	return (
		<ListPage
			title={t.backups.title}
			searchLabel={t.backups.searchLabel}
			filters={FILTERS}
			query={backups}
			rows={all.filter((b) => (!type || b.backup_type === type) && (!status || b.status === status))}
			total={all.length}
			columns={columns}
			sort={[{ id: 'created_at', desc: true }]}
			empty={<Empty icon={History} title={t.backups.empty} hint={t.backups.emptyHint} />}
			noMatch={t.backups.noMatch}
		/>
	);
}
