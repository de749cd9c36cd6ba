import { ArrowLeft, HardDrive } from 'lucide-react';
import { useBackups, useVms } from '@/api/queries';
import { StatusBadge, TypeBadge } from '@/components/backup-badges';
import { Problem } from '@/components/problem';
import { Button, Card, Empty, PageHead, SkeletonRows } from '@/components/ui';
import { chainsOf, diskIndexes, type Link as ChainLink } from '@/lib/chains';
import { formatDate, formatSize } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { restoreUrl } from '@/lib/links';
import { Link } from '@/lib/router';
import { t } from '@/texts';

function Chain({ chain, vm }: { chain: ChainLink[]; vm: string }) {
	return (
		<ol className="border-b px-4 py-2 last:border-b-0">
			{chain.map(({ backup, disk }, i) => (
				<li key={backup.backup_id} className="relative flex gap-4 pb-4 last:pb-2">
					{i < chain.length - 1 && <span className="absolute bottom-0 left-[7px] top-5 w-0.5 bg-line" aria-hidden />}
					<span
						aria-hidden
						className={`relative mt-1.5 size-4 shrink-0 rounded-full border-2 border-accent ${i === 0 ? 'bg-accent' : 'bg-surface'}`}
					/>
					<div className="flex min-w-0 flex-1 flex-wrap items-center justify-between gap-x-4 gap-y-1">
						<div className="min-w-0 basis-52 grow">
							<p className="flex flex-wrap items-center gap-2 font-medium">
								{formatDate(backup.created_at)}
								<TypeBadge type={backup.backup_type} />
								{backup.status !== 'completed' && <StatusBadge status={backup.status} />}
							</p>
							<p className="break-words text-sm text-muted">
								{backup.backup_id} · {t.vms.stored(formatSize(disk.stored_bytes))}
								<br />
								{disk.parent_backup_id ? t.vms.needs(disk.parent_backup_id) : t.vms.needsNothing}
							</p>
						</div>
						{backup.status === 'completed' && (
							<Button asChild>
								<Link href={restoreUrl(vm, backup.backup_id, disk.disk_index)}>
									{t.vms.restore}
									<span className="sr-only">
										: {backup.backup_id}, {t.restore.diskN(disk.disk_index)}
									</span>
								</Link>
							</Button>
						)}
					</div>
				</li>
			))}
		</ol>
	);
}

export function Vm({ id }: { id: string }) {
	const vms = useVms();
	const backups = useBackups(id);
	const vm = vms.data?.vm_contexts.find((v) => v.vm_context_id === id);
	const name = vm?.vm_name ?? id;
	useTitle(name);
	const list = backups.data?.backups ?? [];
	return (
		<>
			<Link
				href="/vms"
				className="mb-2 inline-flex min-h-11 items-center gap-1.5 text-sm text-accent hover:underline md:min-h-6"
			>
				<ArrowLeft className="size-4" aria-hidden />
				{t.vms.back}
			</Link>
			<PageHead title={name} lead={t.vms.chainHint} />
			{backups.isPending ? (
				<SkeletonRows />
			) : backups.isError ? (
				<Problem error={backups.error} onRetry={() => void backups.refetch()} />
			) : list.length === 0 ? (
				<Card>
					<Empty icon={HardDrive} title={t.backups.empty} hint={t.backups.emptyHint} />
				</Card>
			) : (
				<div className="grid items-start gap-5 lg:grid-cols-2">
					{diskIndexes(list).map((index) => {
						const chains = chainsOf(list, index);
						const links = chains.flat();
						return (
							<Card key={index} aria-labelledby={`disk-${index}`} className="overflow-hidden">
								<h2
									id={`disk-${index}`}
									className="flex flex-wrap items-baseline gap-x-3 border-b px-4 py-3 font-semibold"
								>
									{t.vms.chainOf(index)}
									<span className="text-sm font-normal text-muted">
										{formatSize(links.at(-1)?.disk.size_bytes)} ·{' '}
										{t.vms.chainTotal(
											t.restorePoints(links.length),
											formatSize(links.reduce((sum, l) => sum + l.disk.stored_bytes, 0)),
										)}
									</span>
								</h2>
								{chains.map((chain) => (
									<Chain key={chain[0]?.backup.backup_id} chain={chain} vm={id} />
								))}
							</Card>
						);
					})}
				</div>
			)}
		</>
	);
}
