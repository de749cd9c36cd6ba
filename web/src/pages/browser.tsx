import { useEffect, useRef } from 'react';
import { Clock, TriangleAlert } from 'lucide-react';
import type { ApiError } from '@/api/client';
import { useMountDisk, useMountInfo, useMounts } from '@/api/queries';
import { FileBrowser, type Before } from '@/browser/file-browser';
import { isCode, Problem } from '@/components/problem';
import { Button, Card, Empty, Select, SkeletonRows } from '@/components/ui';
import { announce } from '@/lib/announce';
import { formatDuration, formatSize } from '@/lib/format';
import { useNow, useTitle } from '@/lib/hooks';
import { baseName, browserUrl, type BrowserAddress } from '@/lib/paths';
import { Link, navigate } from '@/lib/router';
import { mountedDisks } from '@/mounts/disks';
import { t } from '@/texts';
import { UnlockForm } from '@/volumes/unlock';
import { cameFree, choosable, encryptionName, preferred, type Volume } from '@/volumes/volumes';

function volumeName(v: Volume): string {
	const note = v.locked ? t.browser.locked : v.supported ? '' : t.browser.unsupported;
	return [
		t.browser.volumeN(v.volume),
		v.label || v.name,
		v.locked ? encryptionName(v) : v.filesystem_type,
		formatSize(v.size),
		note,
	]
		.filter(Boolean)
		.join(' · ');
}

function VolumeSelect({ volumes, chosen, mount }: { volumes: Volume[]; chosen: number; mount: string }) {
	return (
		<Select
			aria-label={t.browser.volume}
			value={chosen}
			className="max-w-full"
			onChange={(e) => navigate(browserUrl({ mount, volume: Number(e.target.value), path: '/' }))}
		>
			{choosable(volumes).map((v) => (
				<option key={v.volume} value={v.volume}>
					{volumeName(v)}
				</option>
			))}
		</Select>
	);
}

/** The mount has ended: one click makes it again, and the path stays. */
function Ended({ error, address }: { error: ApiError; address: BrowserAddress }) {
	const mount = useMountDisk();
	const backup = error.details['backup_id'];
	const disk = error.details['disk_index'];
	const several = error.details['disks'];
	const disks = Array.isArray(several) ? several.filter((id) => typeof id === 'number') : [];
	const known = typeof backup === 'string' && typeof disk === 'number';
	const again = () =>
		known &&
		mount.mutate(
			{ backup_id: backup, ...(disks.length > 0 ? { disks } : { disk_index: disk }), reuse: true },
			{
				onSuccess: (m) => {
					announce(t.mounts.open);
					navigate(browserUrl({ ...address, mount: m.mount_id }) + location.search, { replace: true });
				},
			},
		);
	return (
		<Card>
			<h1 className="sr-only">{t.browser.expiredTitle}</h1>
			<Empty icon={Clock} title={t.browser.expiredTitle} hint={known ? t.browser.expiredText : t.browser.goneText}>
				<div className="flex flex-wrap justify-center gap-2">
					{known && (
						<Button look="primary" busy={mount.isPending} onClick={again}>
							{t.browser.remount}
						</Button>
					)}
					<Button asChild>
						<Link href="/restore">{t.browser.toRestore}</Link>
					</Button>
				</div>
			</Empty>
			{mount.isError && <Problem error={mount.error} onRetry={again} />}
		</Card>
	);
}

function Left({ mount, onEnd }: { mount: string; onEnd: () => unknown }) {
	const mounts = useMounts();
	const now = useNow();
	const m = mounts.data?.mounts.find((x) => x.mount_id === mount);
	// Nobody has to click first to learn that the mount has ended.
	const ended = mounts.data !== undefined && !mounts.isStale && !m;
	useEffect(() => {
		if (ended) onEnd();
	}, [ended, onEnd]);
	if (!m) return null;
	return (
		<span className="whitespace-nowrap tabular-nums">
			{t.mounts.left(formatDuration((Date.parse(m.expires_at) - now) / 1000))}
		</span>
	);
}

/** In place of the files: the volume's key is asked for. */
function Locked({
	mount,
	volume,
	again,
	go,
}: {
	mount: string;
	volume: Volume;
	again: boolean;
	go: (after: Volume[]) => void;
}) {
	return (
		<Card className="mx-auto w-full max-w-xl p-5">
			{again && <p className="mb-4 rounded-lg bg-warn-soft p-3 text-sm text-warn">{t.browser.lockedAgain}</p>}
			<UnlockForm key={volume.volume} mount={mount} volume={volume} autoFocus onUnlocked={(m) => go(m.volumes ?? [])} />
		</Card>
	);
}

export function BrowserPage({ address }: { address: BrowserAddress }) {
	const info = useMountInfo(address.mount);
	const before = useRef<Before | null>(null);
	useTitle(baseName(address.path) || info.data?.vm_name || t.browser.region);
	if (info.isPending) return <SkeletonRows />;
	if (info.isError) {
		if (isCode(info.error, 'MOUNT_NOT_FOUND')) return <Ended error={info.error} address={address} />;
		return (
			<Problem error={info.error} onRetry={() => void info.refetch()}>
				<Button asChild>
					<Link href="/restore">{t.browser.toRestore}</Link>
				</Button>
			</Problem>
		);
	}
	const mount = info.data;
	const volumes = mount.volumes ?? [];
	const number = address.volume || (preferred(volumes)?.volume ?? 0);
	const volume = volumes.find((v) => v.volume === number);
	const at = { ...address, volume: number };
	// What lay in an unlocked volume is gone from the list once the worker has slept.
	const locked = volume?.locked ? volume : volume ? undefined : volumes.find((v) => v.locked);
	const unlocked = (after: Volume[]) => {
		if (!volume && after.some((v) => v.volume === number)) return;
		const free = cameFree(volumes, after);
		if (free) navigate(browserUrl({ mount: mount.mount_id, volume: free.volume, path: '/' }), { replace: true });
	};
	return (
		<>
			<div className="mb-3 flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
				<div className="min-w-0">
					<h1 className="truncate text-xl font-semibold tracking-tight">
						{mount.vm_name} <span className="font-normal text-muted">· {mountedDisks(mount)}</span>
					</h1>
					<p className="flex flex-wrap gap-x-2 text-sm text-muted">
						<span className="min-w-0 truncate" title={mount.backup_id}>
							{mount.backup_id}
						</span>
						<Left mount={mount.mount_id} onEnd={info.refetch} />
					</p>
				</div>
				<VolumeSelect volumes={volumes} chosen={number} mount={mount.mount_id} />
			</div>
			{mount.warnings && mount.warnings.length > 0 && (
				<details className="mb-3 rounded-lg bg-warn-soft px-4 py-2 text-sm text-warn">
					<summary className="cursor-pointer">{t.browser.warnings}</summary>
					<ul className="list-disc pl-5">
						{mount.warnings.map((w) => (
							<li key={w}>{w}</li>
						))}
					</ul>
				</details>
			)}
			{locked ? (
				<Locked mount={mount.mount_id} volume={locked} again={!volume} go={unlocked} />
			) : volume && !volume.supported ? (
				<Card>
					<Empty icon={TriangleAlert} title={t.browser.unsupportedTitle} hint={volume.reason ?? ''} />
				</Card>
			) : (
				<FileBrowser
					key={`${number}${at.path}`}
					address={at}
					vm={mount.vm_name}
					before={before}
					onMountChanged={info.refetch}
				/>
			)}
		</>
	);
}
