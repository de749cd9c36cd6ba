import { Archive, Database, HardDriveDownload, History, Server } from 'lucide-react';
import { useBackups, useRepositories, useVms } from '@/api/queries';
import { TypeBadge } from '@/components/backup-badges';
import { Problem } from '@/components/problem';
import { Stat } from '@/components/stats';
import { Button, Card, Empty, PageHead, SkeletonRows } from '@/components/ui';
import { storedBytes } from '@/lib/chains';
import { formatDate, formatSize } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { restoreUrl } from '@/lib/links';
import { Link } from '@/lib/router';
import { MountsPanel } from '@/mounts/panel';
import { t } from '@/texts';

const LATEST = 6;

export function Overview() {
	useTitle(t.overview.title);
	const vms = useVms();
	const backups = useBackups();
	const repositories = useRepositories();
	const list = backups.data?.backups;
	const stored = list?.reduce((sum, b) => sum + storedBytes(b), 0);
	return (
		<>
			<PageHead title={t.overview.title} lead={t.overview.lead}>
				<Button asChild look="primary">
					<Link href="/restore">
						<HardDriveDownload className="size-4" aria-hidden />
						{t.overview.startRestore}
					</Link>
				</Button>
			</PageHead>
			<div className="mb-5 grid grid-cols-2 gap-3 lg:grid-cols-4">
				<Stat icon={Server} label={t.overview.vms} value={vms.data?.total.toLocaleString('en')} />
				<Stat icon={History} label={t.overview.points} value={backups.data?.total.toLocaleString('en')} />
				<Stat icon={Archive} label={t.overview.stored} value={stored === undefined ? undefined : formatSize(stored)} />
				<Stat icon={Database} label={t.overview.repositories} value={repositories.data?.count.toLocaleString('en')} />
			</div>
			<div className="grid items-start gap-5 lg:grid-cols-2">
				<Card aria-labelledby="latest" className="overflow-hidden">
					<h2 id="latest" className="border-b px-4 py-3 font-semibold">
						{t.overview.latest}
					</h2>
					{backups.isPending ? (
						<SkeletonRows />
					) : backups.isError ? (
						<Problem error={backups.error} onRetry={() => void backups.refetch()} />
					) : backups.data.total === 0 ? (
						<Empty icon={Database} title={t.overview.empty} hint={t.overview.emptyHint}>
							<Button asChild look="primary">
								<Link href="/repositories">{t.overview.addRepository}</Link>
							</Button>
						</Empty>
					) : (
						<ul className="divide-y">
							{backups.data.backups.slice(0, LATEST).map((b) => (
								<li key={b.backup_id}>
									<Link
										href={restoreUrl(b.vm_context_id, b.backup_id)}
										className="flex min-h-14 items-center gap-3 px-4 py-2 -outline-offset-2 hover:bg-raised/60"
									>
										<span className="min-w-0 flex-1">
											<span className="block truncate font-medium">{b.vm_name}</span>
											<span className="block text-sm text-muted">
												{formatDate(b.created_at)} · {t.disks(b.disks.length)} · {formatSize(storedBytes(b))}
											</span>
										</span>
										<TypeBadge type={b.backup_type} />
									</Link>
								</li>
							))}
						</ul>
					)}
				</Card>
				<MountsPanel />
			</div>
		</>
	);
}
