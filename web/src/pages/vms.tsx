import type { ColumnDef } from '@tanstack/react-table';
import { SearchX, Server } from 'lucide-react';
import type { Schemas } from '@/api/client';
import { useRepositories, useVms } from '@/api/queries';
import { DataTable } from '@/components/data-table';
import { Problem } from '@/components/problem';
import { Button, Card, Empty, Input, PageHead, SkeletonRows } from '@/components/ui';
import { formatDate } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { restoreUrl } from '@/lib/links';
import { Link, setSearch, useSearch } from '@/lib/router';
import { t } from '@/texts';

type Row = Schemas['VmContext'] & { repository: string };

const columns: ColumnDef<Row>[] = [
	{
		accessorKey: 'vm_name',
		header: t.vms.name,
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
	{ accessorKey: 'backup_count', header: t.vms.points, meta: { right: true } },
	{ accessorKey: 'last_backup_at', header: t.vms.last, cell: ({ row }) => formatDate(row.original.last_backup_at) },
	{ accessorKey: 'repository', header: t.vms.repository },
	{
		id: 'restore',
		header: t.vms.restore,
		enableSorting: false,
		meta: { right: true, hideLabel: true },
		cell: ({ row }) => (
			<Button asChild>
				<Link href={restoreUrl(row.original.vm_context_id)}>
					{t.vms.restore}
					<span className="sr-only">: {row.original.vm_name}</span>
				</Link>
			</Button>
		),
	},
];

export function Vms() {
	useTitle(t.vms.title);
	const vms = useVms();
	const repositories = useRepositories();
	const q = useSearch().get('q') ?? '';
	const name = (id: string) => repositories.data?.repositories.find((r) => r.id === id)?.name ?? '';
	const rows = vms.data?.vm_contexts.map((vm) => ({ ...vm, repository: name(vm.repository_id) })) ?? [];
	return (
		<>
			<PageHead title={t.vms.title}>
				<Input
					type="search"
					className="sm:w-64"
					aria-label={t.vms.searchLabel}
					placeholder={t.search}
					value={q}
					onChange={(e) => setSearch({ q: e.target.value || null })}
				/>
			</PageHead>
			<Card className="overflow-hidden">
				{vms.isPending ? (
					<SkeletonRows />
				) : vms.isError ? (
					<Problem error={vms.error} onRetry={() => void vms.refetch()} />
				) : (
					<DataTable
						label={t.vms.title}
						rows={rows}
						columns={columns}
						search={q}
						sort={[{ id: 'vm_name', desc: false }]}
						empty={
							rows.length === 0 ? (
								<Empty icon={Server} title={t.vms.empty} hint={t.vms.emptyHint} />
							) : (
								<Empty icon={SearchX} title={t.vms.noMatch} />
							)
						}
					/>
				)}
			</Card>
		</>
	);
}
