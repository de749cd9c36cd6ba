import { ArrowRight, Check, HardDrive, HardDriveDownload, Layers, Server } from 'lucide-react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { Schemas } from '@/api/client';
import { useBackups, useMountDisk, useMountInfo, useResources, useVms } from '@/api/queries';
import { TypeBadge } from '@/components/backup-badges';
import { Choice } from '@/components/choice';
import { isCode, Problem } from '@/components/problem';
import { Stat } from '@/components/stats';
import { Badge, Button, Card, Empty, Input, PageHead, SkeletonRows } from '@/components/ui';
import { cn } from '@/lib/cn';
import { formatDate, formatSize } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { browserUrl } from '@/lib/paths';
import { Link, navigate, setSearch, useSearch } from '@/lib/router';
import { MountsPanel } from '@/mounts/panel';
import { t } from '@/texts';
import { VolumeChoice } from '@/volumes/choice';
import { UnlockForm } from '@/volumes/unlock';
import { cameFree, choosable, preferred } from '@/volumes/volumes';

const MANY = 8;
/** In place of a disk's number: all of them, as one machine. */
const ALL = 'all';
const nothingMounted = { mount: null, volume: null };

function Cards() {
	const { data } = useResources();
	const n = (v: number | undefined) => v?.toLocaleString('en');
	return (
		<div className="mb-5 grid grid-cols-3 gap-3">
			<Stat
				icon={HardDrive}
				label={t.restore.cards.mounts}
				value={n(data?.active_mounts)}
				hint={t.restore.cards.mountsHint(data?.active_mounts ?? 0)}
			/>
			<Stat
				icon={HardDriveDownload}
				label={t.restore.cards.restores}
				value={n(data?.restores_total)}
				hint={t.restore.cards.restoresHint(data?.restores_total ?? 0)}
			/>
			<Stat
				icon={Layers}
				label={t.restore.cards.slots}
				value={n(data?.available_slots)}
				{...(data && { hint: t.restore.cards.of(data.max_mounts) })}
			/>
		</div>
	);
}

function Step({ n, title, children }: { n: number; title: string; children: ReactNode }) {
	return (
		<fieldset className="min-w-0 border-t px-4 py-4 first:border-t-0">
			<legend className="sr-only">{title}</legend>
			<p aria-hidden className="mb-3 flex items-center gap-2.5 font-semibold">
				<span className="grid size-6 place-items-center rounded-full bg-accent text-xs text-accent-ink">{n}</span>
				{title}
			</p>
			{children}
		</fieldset>
	);
}

function VmStep({ vms, chosen }: { vms: Schemas['VmContext'][]; chosen: string }) {
	const [q, setQ] = useState('');
	const shown = vms.filter((v) => v.vm_name.toLowerCase().includes(q.toLowerCase()));
	return (
		<Step n={1} title={t.restore.vm}>
			{vms.length > MANY && (
				<Input
					type="search"
					className="mb-3"
					aria-label={t.restore.vmSearch}
					placeholder={t.search}
					value={q}
					onChange={(e) => setQ(e.target.value)}
				/>
			)}
			<div className="grid max-h-72 gap-2 overflow-y-auto p-0.5 sm:grid-cols-2 xl:grid-cols-3">
				{shown.map((vm) => (
					<Choice
						key={vm.vm_context_id}
						name="vm"
						checked={vm.vm_context_id === chosen}
						onChoose={() => setSearch({ ...nothingMounted, vm: vm.vm_context_id, backup: null, disk: null })}
					>
						<Server className="size-5 shrink-0 text-muted" aria-hidden />
						<span className="min-w-0">
							<span className="block truncate font-medium">{vm.vm_name}</span>
							<span className="block text-sm text-muted">{t.restorePoints(vm.backup_count)}</span>
						</span>
					</Choice>
				))}
			</div>
			{shown.length === 0 && <p className="text-sm text-muted">{t.vms.noMatch}</p>}
		</Step>
	);
}

function Timeline({ points, chosen }: { points: Schemas['Backup'][]; chosen: string | undefined }) {
	return (
		<Step n={2} title={t.restore.point}>
			<ol className="relative max-h-80 space-y-2 overflow-y-auto p-0.5">
				{points.map((b, i) => (
					<li key={b.backup_id} className="relative flex items-center gap-3">
						<span
							aria-hidden
							className={cn(
								'absolute left-[9px] w-0.5 bg-line',
								i === 0 ? 'top-1/2' : '-top-2',
								i === points.length - 1 ? 'bottom-1/2' : '-bottom-2',
							)}
						/>
						<span
							aria-hidden
							className={cn(
								'relative grid size-5 shrink-0 place-items-center rounded-full border-2 border-accent',
								b.backup_type === 'full' ? 'bg-accent' : 'bg-surface',
							)}
						/>
						<Choice
							name="point"
							className="flex-1"
							checked={b.backup_id === chosen}
							onChoose={() => setSearch({ ...nothingMounted, backup: b.backup_id, disk: null })}
						>
							<span className="flex min-w-0 flex-1 flex-wrap items-center gap-x-3 gap-y-1">
								<span className="font-medium tabular-nums">{formatDate(b.created_at)}</span>
								<TypeBadge type={b.backup_type} />
								{i === 0 && <Badge tone="good">{t.restore.newest}</Badge>}
								<span className="hidden truncate text-sm text-muted sm:block">{b.backup_id}</span>
							</span>
							{b.backup_id === chosen && <Check className="size-4 shrink-0 text-accent" aria-hidden />}
						</Choice>
					</li>
				))}
			</ol>
		</Step>
	);
}

function DiskStep({ disks, chosen }: { disks: Schemas['Disk'][]; chosen: string }) {
	return (
		<Step n={3} title={t.restore.disk}>
			<div className="grid gap-2 p-0.5 sm:grid-cols-2">
				{disks.map((d) => (
					<Choice
						key={d.id}
						name="disk"
						checked={String(d.disk_index) === chosen}
						onChoose={() => setSearch({ ...nothingMounted, disk: String(d.disk_index) })}
					>
						<HardDrive className="size-5 shrink-0 text-muted" aria-hidden />
						<span className="min-w-0">
							<span className="block font-medium">{t.restore.diskN(d.disk_index)}</span>
							<span className="block text-sm text-muted">{formatSize(d.size_bytes)}</span>
						</span>
					</Choice>
				))}
				{disks.length > 1 && (
					<Choice name="disk" checked={chosen === ALL} onChoose={() => setSearch({ ...nothingMounted, disk: ALL })}>
						<Layers className="size-5 shrink-0 text-muted" aria-hidden />
						<span className="min-w-0">
							<span className="block font-medium">{t.restore.allDisks}</span>
							<span className="block text-sm text-muted">{t.restore.allDisksHint}</span>
						</span>
					</Choice>
				)}
			</div>
			<p className="mt-2 text-sm text-muted">{t.restore.volumeNote}</p>
		</Step>
	);
}

function openVolume(mount: Schemas['Mount'], volume: number) {
	navigate(browserUrl({ mount: mount.mount_id, volume, path: '/' }));
}

/** The disk is open: which of its volumes? The right one is chosen; a locked one asks for its key. */
function VolumeStep({ mount }: { mount: Schemas['Mount'] }) {
	const search = useSearch();
	const volumes = mount.volumes ?? [];
	const list = choosable(volumes);
	const chosen = list.find((v) => String(v.volume) === search.get('volume')) ?? preferred(volumes);
	const top = useRef<HTMLDivElement>(null);
	useEffect(() => {
		top.current?.focus({ preventScroll: true });
		top.current?.scrollIntoView({ block: 'nearest' });
	}, []);
	const choose = (volume: number | undefined) => setSearch({ volume: volume === undefined ? null : String(volume) });
	return (
		<div ref={top} tabIndex={-1} className="scroll-mb-20 border-t outline-none" data-testid="volumes">
			<Step n={4} title={t.restore.volume}>
				{chosen ? (
					<VolumeChoice volumes={list} chosen={chosen.volume} onChoose={choose} />
				) : (
					<p className="text-sm text-muted">{t.restore.noVolume}</p>
				)}
				{chosen?.locked && (
					<div className="mt-4 rounded-lg border p-4">
						<UnlockForm
							key={chosen.volume}
							mount={mount.mount_id}
							volume={chosen}
							autoFocus
							onUnlocked={(m) => choose(cameFree(volumes, m.volumes ?? [])?.volume)}
						/>
					</div>
				)}
				{chosen && !chosen.locked && !chosen.supported && <p className="mt-3 text-sm text-warn">{chosen.reason}</p>}
				{chosen && !chosen.locked && (
					<Button
						look="primary"
						className="mt-4 w-full sm:w-auto"
						disabled={!chosen.supported}
						onClick={() => openVolume(mount, chosen.volume)}
					>
						{t.restore.open}
						<ArrowRight className="size-4" aria-hidden />
					</Button>
				)}
			</Step>
		</div>
	);
}

function MountProblem({ error, retry }: { error: unknown; retry: () => void }) {
	if (isCode(error, 'ALREADY_MOUNTED') && typeof error.details['mount_id'] === 'string') {
		const href = browserUrl({ mount: error.details['mount_id'], volume: 0, path: '/' });
		return (
			<Problem error={error}>
				<Button asChild look="primary">
					<Link href={href}>{t.errors.openMount}</Link>
				</Button>
			</Problem>
		);
	}
	if (isCode(error, 'NO_SLOT'))
		return (
			<Problem error={error} onRetry={retry}>
				<Button asChild>
					<a href="#mounts">{t.errors.showMounts}</a>
				</Button>
			</Problem>
		);
	return <Problem error={error} onRetry={retry} />;
}

function Chooser({ vms }: { vms: Schemas['VmContext'][] }) {
	const search = useSearch();
	const vm = search.get('vm') ?? vms[0]?.vm_context_id ?? '';
	const backups = useBackups(vm);
	const mount = useMountDisk();
	const mounted = useMountInfo(search.get('mount'));
	const points = (backups.data?.backups ?? [])
		.filter((b) => b.status === 'completed')
		.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
	const point = points.find((b) => b.backup_id === search.get('backup')) ?? points[0];
	const wanted = search.get('disk');
	const disk = point?.disks.find((d) => String(d.disk_index) === wanted) ?? point?.disks[0];
	const whole = wanted === ALL && point !== undefined && point.disks.length > 1;
	const start = () => {
		if (point && disk)
			mount.mutate(
				{
					backup_id: point.backup_id,
					...(whole ? { disks: 'all' as const } : { disk_index: disk.disk_index }),
					reuse: false,
				},
				{
					onSuccess: (m) => {
						const list = choosable(m.volumes ?? []);
						// Where there is nothing to choose, nothing is asked.
						if (list.length === 1 && list[0]?.supported && !list[0].locked) openVolume(m, list[0].volume);
						else setSearch({ mount: m.mount_id, volume: null }, { replace: false });
					},
				},
			);
	};
	const gone = isCode(mounted.error, 'MOUNT_NOT_FOUND');
	useEffect(() => {
		if (gone) setSearch(nothingMounted);
	}, [gone]);
	return (
		<Card>
			<VmStep vms={vms} chosen={vm} />
			{backups.isPending ? (
				<SkeletonRows rows={3} />
			) : backups.isError ? (
				<Problem error={backups.error} onRetry={() => void backups.refetch()} />
			) : !point ? (
				<p className="px-4 py-6 text-muted">{t.restore.noPoints}</p>
			) : (
				<>
					<Timeline points={points} chosen={point.backup_id} />
					<DiskStep disks={point.disks} chosen={whole ? ALL : String(disk?.disk_index)} />
					{mounted.data ? (
						<VolumeStep key={mounted.data.mount_id} mount={mounted.data} />
					) : (
						<div className="sticky bottom-14 z-10 rounded-b-xl border-t bg-surface p-4 md:bottom-0 md:py-3">
							{mount.isError && (
								<div className="mb-3">
									<MountProblem error={mount.error} retry={start} />
								</div>
							)}
							<Button look="primary" className="w-full sm:w-auto" busy={mount.isPending} onClick={start}>
								{mount.isPending ? t.restore.mounting : t.restore.mount}
								{!mount.isPending && <ArrowRight className="size-4" aria-hidden />}
							</Button>
						</div>
					)}
				</>
			)}
		</Card>
	);
}

export function Restore() {
	useTitle(t.restore.title);
	const vms = useVms();
	return (
		<>
			<PageHead title={t.restore.title} lead={t.restore.lead} />
			<Cards />
			<div className="grid items-start gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
				{vms.isPending ? (
					<Card>
						<SkeletonRows />
					</Card>
				) : vms.isError ? (
					<Problem error={vms.error} onRetry={() => void vms.refetch()} />
				) : vms.data.total === 0 ? (
					<Card>
						<Empty icon={Server} title={t.vms.empty} hint={t.vms.emptyHint}>
							<Button asChild look="primary">
								<Link href="/repositories">{t.overview.addRepository}</Link>
							</Button>
						</Empty>
					</Card>
				) : (
					<Chooser vms={vms.data.vm_contexts} />
				)}
				<div id="mounts">
					<MountsPanel />
				</div>
			</div>
		</>
	);
}
