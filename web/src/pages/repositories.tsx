import { Database, FolderSearch, Plus, SearchX, Trash2 } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import type { Schemas } from '@/api/client';
import { useAddRepository, useRemoveRepository, useRepositories, useScan } from '@/api/queries';
import { TypeBadge } from '@/components/backup-badges';
import { SearchField } from '@/components/list-page';
import { Problem } from '@/components/problem';
import { Badge, Button, Card, Dialog, Empty, Field, Input, PageHead, SkeletonRows } from '@/components/ui';
import { formatDate } from '@/lib/format';
import { useTitle } from '@/lib/hooks';
import { useSearch } from '@/lib/router';
import { t } from '@/texts';

function Notes({ title, hint, notes }: { title: string; hint?: string; notes: Schemas['ScanNote'][] }) {
	if (notes.length === 0) return null;
	return (
		<div>
			<h3 className="text-sm font-semibold">
				{title} <Badge tone="warn">{notes.length}</Badge>
			</h3>
			{hint && <p className="text-sm text-muted">{hint}</p>}
			<ul className="mt-1 space-y-1 text-sm">
				{notes.map((n) => (
					<li key={n.path} className="break-words">
						<code className="break-all font-mono text-xs">{n.path}</code> <span className="text-muted">{n.reason}</span>
					</li>
				))}
			</ul>
		</div>
	);
}

function ScanReport({ result }: { result: Schemas['ScanResult'] }) {
	return (
		<div className="space-y-4 border-t bg-page/50 p-4" role="status">
			<p className="font-medium">
				{t.repositories.scanned(t.restorePoints(result.restore_points), result.images)}{' '}
				{t.repositories.fresh(result.created)}
			</p>
			<Notes title={t.repositories.orphans} hint={t.repositories.orphansHint} notes={result.orphans} />
			<Notes title={t.repositories.skipped} notes={result.skipped} />
			{result.found.length > 0 && (
				<div>
					<h3 className="text-sm font-semibold">{t.repositories.found}</h3>
					<ul className="mt-1 divide-y text-sm">
						{result.found.map((p) => (
							<li key={p.backup_id} className="flex flex-wrap items-center gap-x-3 gap-y-1 py-1.5">
								<span className="font-medium">{p.vm_name}</span>
								<TypeBadge type={p.backup_type} />
								<span className="text-muted">
									{formatDate(p.created_at)} · {t.disks(p.disks)}
								</span>
							</li>
						))}
					</ul>
				</div>
			)}
		</div>
	);
}

function Row({
	repository,
	scanNow,
}: {
	repository: Schemas['Repository'];
	scanNow: Schemas['ScanResult'] | undefined;
}) {
	const scan = useScan();
	const remove = useRemoveRepository();
	const [asking, setAsking] = useState(false);
	const result = scan.data ?? scanNow;
	return (
		<Card className="overflow-hidden" aria-labelledby={`repository-${repository.id}`}>
			<div className="flex flex-wrap items-center gap-x-4 gap-y-3 p-4">
				<div className="rounded-lg bg-accent-soft p-2.5 text-accent">
					<Database className="size-5" aria-hidden />
				</div>
				<div className="min-w-0 flex-1 basis-48">
					<h2 id={`repository-${repository.id}`} className="break-words font-semibold">
						{repository.name}
					</h2>
					<p className="break-words text-sm text-muted">
						<code className="break-all font-mono text-xs">{repository.location}</code> ·{' '}
						{t.repositories.added(formatDate(repository.created_at))}
					</p>
				</div>
				<div className="flex gap-2">
					<Button busy={scan.isPending} onClick={() => scan.mutate(repository.id)}>
						{!scan.isPending && <FolderSearch className="size-4" aria-hidden />}
						{scan.isPending ? t.repositories.scanning : t.repositories.scan}
					</Button>
					<Button look="danger" onClick={() => setAsking(true)}>
						<Trash2 className="size-4" aria-hidden />
						{t.repositories.remove}
					</Button>
				</div>
			</div>
			{scan.isError && <Problem error={scan.error} onRetry={() => scan.mutate(repository.id)} />}
			{result && <ScanReport result={result} />}
			<Dialog
				open={asking}
				onClose={() => setAsking(false)}
				title={t.repositories.removeTitle(repository.name)}
				description={t.repositories.removeText}
			>
				{remove.isError && <Problem error={remove.error} />}
				<div className="flex justify-end gap-2">
					<Button onClick={() => setAsking(false)}>{t.cancel}</Button>
					<Button look="danger" busy={remove.isPending} onClick={() => remove.mutate(repository.id)}>
						{t.repositories.remove}
					</Button>
				</div>
			</Dialog>
		</Card>
	);
}

function AddDialog({
	onClose,
	onAdded,
}: {
	onClose: () => void;
	onAdded: (id: string, scan: Schemas['ScanResult']) => void;
}) {
	const add = useAddRepository();
	const scan = useScan();
	const [name, setName] = useState('');
	const [location, setLocation] = useState('');
	const submit = (e: FormEvent) => {
		e.preventDefault();
		add.mutate(
			{ name: name.trim(), location: location.trim() },
			{
				onSuccess: (made) =>
					scan.mutate(made.id, {
						onSuccess: (result) => {
							onAdded(made.id, result);
							onClose();
						},
						onError: onClose,
					}),
			},
		);
	};
	return (
		<Dialog open onClose={onClose} title={t.repositories.add}>
			<form onSubmit={submit} className="space-y-4">
				<Field id="repository-name" label={t.repositories.name} hint={t.repositories.nameHint}>
					{(props) => (
						<Input {...props} value={name} maxLength={255} required onChange={(e) => setName(e.target.value)} />
					)}
				</Field>
				<Field id="repository-location" label={t.repositories.location} hint={t.repositories.locationHint}>
					{(props) => (
						<Input
							{...props}
							value={location}
							required
							pattern="/.*"
							placeholder="/srv/backups"
							onChange={(e) => setLocation(e.target.value)}
						/>
					)}
				</Field>
				{add.isError && <Problem error={add.error} />}
				<div className="flex justify-end gap-2">
					<Button onClick={onClose}>{t.cancel}</Button>
					<Button type="submit" look="primary" busy={add.isPending || scan.isPending}>
						{t.repositories.save}
					</Button>
				</div>
			</form>
		</Dialog>
	);
}

export function Repositories() {
	useTitle(t.repositories.title);
	const repositories = useRepositories();
	const q = (useSearch().get('q') ?? '').toLowerCase();
	const all = repositories.data?.repositories ?? [];
	const shown = all.filter((r) => [r.name, r.location].some((text) => text.toLowerCase().includes(q)));
	const [adding, setAdding] = useState(false);
	const [scans, setScans] = useState<Record<string, Schemas['ScanResult']>>({});
	return (
		<>
			<PageHead title={t.repositories.title} lead={t.repositories.lead}>
				<div className="flex w-full flex-wrap gap-2 sm:w-auto">
					{all.length > 1 && <SearchField label={t.repositories.searchLabel} />}
					<Button look="primary" onClick={() => setAdding(true)}>
						<Plus className="size-4" aria-hidden />
						{t.repositories.add}
					</Button>
				</div>
			</PageHead>
			{adding && (
				<AddDialog
					onClose={() => setAdding(false)}
					onAdded={(id, scan) => setScans((old) => ({ ...old, [id]: scan }))}
				/>
			)}
			{repositories.isPending ? (
				<SkeletonRows />
			) : repositories.isError ? (
				<Problem error={repositories.error} onRetry={() => void repositories.refetch()} />
			) : repositories.data.count === 0 ? (
				<Card>
					<Empty icon={Database} title={t.repositories.empty} hint={t.repositories.emptyHint}>
						<Button look="primary" onClick={() => setAdding(true)}>
							{t.repositories.add}
						</Button>
					</Empty>
				</Card>
			) : (
				<div className="space-y-4">
					{shown.length === 0 && (
						<Card>
							<Empty icon={SearchX} title={t.repositories.noMatch} />
						</Card>
					)}
					{shown.map((r) => (
						<Row key={r.id} repository={r} scanNow={scans[r.id]} />
					))}
				</div>
			)}
		</>
	);
}
