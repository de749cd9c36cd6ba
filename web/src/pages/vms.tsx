import type { ColumnDef } from '@tanstack/react-table';
import { Server } from 'lucide-react';
import type { Schemas } from '@/api/client';
import { useRepositories, useVms } from '@/api/queries';
import { ListPage } from '@/components/list-page';
import { Button, Empty } from '@/components/ui';
import { formatDate } from '@/lib/format';
import { restoreUrl } from '@/lib/links';
import { Link, useSearch } from '@/lib/router';
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
	const vms = useVms();
	const repositories = useRepositories().data?.repositories ?? [];
	const chosen = useSearch().get('repository');
	const name = (id: string) => repositories.find((r) => r.id === id)?.name ?? '';
	const all = vms.data?.vm_contexts ?? [];
	return (
		<ListPage
			title={t.vms.title}
			searchLabel={t.vms.searchLabel}
			filters={[
				{ key: 'repository', label: t.vms.repository, options: repositories.map((r) => [r.id, r.name] as const) },
			]}
			query={vms}
			rows={all
				.filter((vm) => !chosen || vm.repository_id === chosen)
				.map((vm) => ({ ...vm, repository: name(vm.repository_id) }))}
			total={all.length}
			columns={columns}
			sort={[{ id: 'vm_name', desc: false }]}
			empty={<Empty icon={Server} title={t.vms.empty} hint={t.vms.emptyHint} />}
			noMatch={t.vms.noMatch}
		/>
	);
}
