import { FolderOpen, HardDrive, Unplug } from 'lucide-react';
import type { Schemas } from '@/api/client';
import { useMounts, useUnmount } from '@/api/queries';
import { Problem } from '@/components/problem';
import { Badge, Button, Card, SkeletonRows } from '@/components/ui';
import { announce } from '@/lib/announce';
import { cn } from '@/lib/cn';
import { formatDuration } from '@/lib/format';
import { useNow } from '@/lib/hooks';
import { browserUrl } from '@/lib/paths';
import { Link } from '@/lib/router';
import { t } from '@/texts';
import { mountedDisks } from './disks';

function Countdown({ until }: { until: string }) {
	const seconds = (new Date(until).getTime() - useNow()) / 1000;
	if (seconds <= 0) return <Badge tone="danger">{t.mounts.expired}</Badge>;
	return (
		<Badge tone={seconds < 300 ? 'warn' : 'neutral'}>
			<span className="tabular-nums">{t.mounts.left(formatDuration(seconds))}</span>
		</Badge>
	);
}

function Row({ mount }: { mount: Schemas['Mount'] }) {
	const unmount = useUnmount();
	const volume = mount.volumes?.find((v) => v.default)?.volume ?? 0;
	return (
		<li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
			<HardDrive className="size-5 shrink-0 text-muted" aria-hidden />
			<div className="min-w-0 flex-1 basis-44">
				<p className="truncate font-medium">
					{mount.vm_name} <span className="font-normal text-muted">· {mountedDisks(mount)}</span>
				</p>
				<p className="truncate text-sm text-muted" title={mount.backup_id}>
					{mount.filesystem_type ?? t.mounts.unknownFilesystem} · {mount.backup_id}
				</p>
			</div>
			<Countdown until={mount.expires_at} />
			<div className="flex gap-2">
				<Button asChild>
					<Link
						href={browserUrl({ mount: mount.mount_id, volume, path: '/' })}
						aria-label={t.mounts.openNamed(mount.vm_name, mountedDisks(mount))}
					>
						<FolderOpen className="size-4" aria-hidden />
						{t.mounts.open}
					</Link>
				</Button>
				<Button
					aria-label={t.mounts.unmountNamed(mount.vm_name, mountedDisks(mount))}
					busy={unmount.isPending}
					onClick={() => unmount.mutate(mount.mount_id, { onSuccess: () => announce(t.restore.unmounted) })}
				>
					{!unmount.isPending && <Unplug className="size-4" aria-hidden />}
					{t.mounts.unmount}
				</Button>
			</div>
			{unmount.isError && (
				<div className="basis-full">
					<Problem error={unmount.error} />
				</div>
			)}
		</li>
	);
}

export function MountsPanel({ className }: { className?: string }) {
	const mounts = useMounts();
	return (
		<Card className={cn('overflow-hidden', className)} aria-labelledby="mounts-title">
			<h2 id="mounts-title" className="border-b px-4 py-3 font-semibold">
				{t.mounts.title}
			</h2>
			{mounts.isPending ? (
				<SkeletonRows rows={2} />
			) : mounts.isError ? (
				<Problem error={mounts.error} onRetry={() => void mounts.refetch()} />
			) : mounts.data.mounts.length === 0 ? (
				<p className="px-4 py-6 text-sm text-muted">{t.mounts.empty}</p>
			) : (
				<ul className="divide-y">
					{mounts.data.mounts.map((m) => (
						<Row key={m.mount_id} mount={m} />
					))}
				</ul>
			)}
		</Card>
	);
}
