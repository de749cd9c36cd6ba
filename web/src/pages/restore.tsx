import { ArrowRight, Check, HardDrive, HardDriveDownload, Layers, Server } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import type { Schemas } from '@/api/client';
import { useBackups, useMountDisk, useResources, useVms } from '@/api/queries';
import { TypeBadge } from '@/components/backup-badges';
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

const MANY = 8;

function Cards() {
	const { data } = useResources();
	const n = (v: number | undefined) => v?.toLocaleString('en');
	return (
		<div className="mb-5 grid grid-cols-3 gap-3">
			<Stat
				icon={HardDrive}
				label={t.restore.cards.mounts}
				value={n(data?.active_mounts)}
				hint={t.restore.cards.mountsHint}
			/>
			<Stat
				icon={HardDriveDownload}
				label={t.restore.cards.restores}
				value={n(data?.restores_total)}
				hint={t.restore.cards.restoresHint}
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

/** A radio button that looks like a card. */
function Choice({
	name,
	checked,
	onChoose,
	children,
	className,
}: {
	name: string;
	checked: boolean;
	onChoose: () => void;
	children: ReactNode;
	className?: string;
}) {
	return (
		<label
			className={cn(
				'relative flex min-h-11 cursor-pointer items-center gap-3 rounded-lg border px-3 py-2 has-[:focus-visible]:outline has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-accent',
				checked ? 'border-accent bg-accent-soft' : 'border-control/50 hover:bg-raised',
				className,
			)}
		>
			<input type="radio" name={name} checked={checked} onChange={onChoose} className="sr-only" />
			{children}
		</label>
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
						onChoose={() => setSearch({ vm: vm.vm_context_id, backup: null, disk: null })}
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
							onChoose={() => setSearch({ backup: b.backup_id, disk: null })}
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

function DiskStep({ disks, chosen }: { disks: Schemas['Disk'][]; chosen: number | undefined }) {
	return (
		<Step n={3} title={t.restore.disk}>
			<div className="grid gap-2 p-0.5 sm:grid-cols-2">
				{disks.map((d) => (
					<Choice
						key={d.id}
						name="disk"
						checked={d.disk_index === chosen}
						onChoose={() => setSearch({ disk: String(d.disk_index) })}
					>
						<HardDrive className="size-5 shrink-0 text-muted" aria-hidden />
						<span className="min-w-0">
							<span className="block font-medium">{t.restore.diskN(d.disk_index)}</span>
							<span className="block text-sm text-muted">{formatSize(d.size_bytes)}</span>
						</span>
					</Choice>
				))}
			</div>
			<p className="mt-2 text-sm text-muted">{t.restore.volumeNote}</p>
		</Step>
	);
}

function openMount(mount: Schemas['Mount']) {
	const volume = mount.volumes?.find((v) => v.default)?.volume ?? 0;
	navigate(browserUrl({ mount: mount.mount_id, volume, path: '/' }));
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
	const points = (backups.data?.backups ?? [])
		.filter((b) => b.status === 'completed')
		.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
	const point = points.find((b) => b.backup_id === search.get('backup')) ?? points[0];
	const disk = point?.disks.find((d) => String(d.disk_index) === search.get('disk')) ?? point?.disks[0];
	const start = () => {
		if (point && disk)
			mount.mutate({ backup_id: point.backup_id, disk_index: disk.disk_index, reuse: false }, { onSuccess: openMount });
	};
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
					<DiskStep disks={point.disks} chosen={disk?.disk_index} />
					<div className="sticky bottom-14 z-10 rounded-b-xl border-t bg-surface p-4 md:bottom-0 md:py-3">
						{mount.isError && <MountProblem error={mount.error} retry={start} />}
						<Button look="primary" className="w-full sm:w-auto" busy={mount.isPending} onClick={start}>
							{mount.isPending ? t.restore.mounting : t.restore.mount}
							{!mount.isPending && <ArrowRight className="size-4" aria-hidden />}
						</Button>
					</div>
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
