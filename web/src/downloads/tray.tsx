import {
	Check,
	ChevronDown,
	ChevronUp,
	CircleAlert,
	Download as DownloadIcon,
	LoaderCircle,
	RotateCw,
	X,
} from 'lucide-react';
import { useState } from 'react';
import { Button, Dialog, IconButton } from '@/components/ui';
import { explain } from '@/lib/errors';
import { formatDuration, formatName, formatSize } from '@/lib/format';
import { useStore } from '@/lib/store';
import { t } from '@/texts';
import { timeLeft } from './rate';
import { active, answer, cancel, clearFinished, downloads, remove, type Download } from './store';

function Icon({ d }: { d: Download }) {
	if (d.state === 'done') return <Check className="size-5 text-good" aria-hidden />;
	if (d.state === 'failed') return <CircleAlert className="size-5 text-danger" aria-hidden />;
	if (d.state === 'cancelled') return <X className="size-5 text-muted" aria-hidden />;
	return <LoaderCircle className="size-5 animate-spin text-accent" aria-hidden />;
}

function status(d: Download): string {
	const left = timeLeft(d.rate, d.bytes, d.total);
	switch (d.state) {
		case 'counting':
		case 'asking':
			return t.downloads.counting;
		case 'waiting':
			return [t.downloads.waiting, d.total > 0 && t.downloads.bytesOf(formatSize(d.bytes), formatSize(d.total))]
				.filter(Boolean)
				.join(' ');
		case 'starting':
			return t.downloads.starting;
		case 'done':
			return [t.downloads.done, d.archive && t.files(d.files), formatSize(d.total)].filter(Boolean).join(' · ');
		case 'cancelled':
			return t.downloads.cancelled;
		case 'failed':
			return t.downloads.failed;
		default:
			return [
				d.archive && t.downloads.filesOf(d.entries, d.entriesTotal),
				t.downloads.bytesOf(formatSize(d.bytes), formatSize(d.total)),
				d.rate.speed > 0 && t.downloads.speed(formatSize(d.rate.speed)),
				left !== null && t.downloads.left(formatDuration(left)),
			]
				.filter(Boolean)
				.join(' · ');
	}
}

function Failure({ error }: { error: unknown }) {
	const { title, advice, detail } = explain(error);
	return <p className="text-sm text-danger">{[`${title}.`, advice || detail].filter(Boolean).join(' ')}</p>;
}

function again(d: Download) {
	remove(d.id);
	d.again();
}

/** What an archive does not hold, or not whole, each with its reason. */
function Lost({ d }: { d: Download }) {
	const skipped = d.lost.filter((e) => e.code === 'SKIPPED').length;
	if (d.unread === 0 && skipped === 0) return null;
	const unnamed = d.unread - (d.lost.length - skipped);
	const summary = [d.unread > 0 && t.downloads.lost(d.unread), skipped > 0 && t.downloads.leftOut(skipped)];
	return (
		<details className="rounded-lg bg-warn-soft text-sm text-warn" open={d.state === 'done' && d.lost.length <= 3}>
			<summary className="min-h-11 cursor-pointer content-center px-3 py-1 font-medium md:min-h-9">
				{summary.filter(Boolean).join(', ')}
			</summary>
			<ul className="max-h-48 space-y-1.5 overflow-y-auto px-3 pb-2" tabIndex={0} aria-label={t.downloads.lostList}>
				{d.lost.map((e, i) => (
					<li key={i} className="break-words">
						<code className="break-all font-mono text-xs">{e.path}</code>
						<br />
						{e.message}
					</li>
				))}
				{d.lost.length > 0 && unnamed > 0 && <li>{t.downloads.lostMore(unnamed)}</li>}
				<li className="text-xs">{t.downloads.lostHint}</li>
			</ul>
		</details>
	);
}

function Row({ d }: { d: Download }) {
	return (
		<li className="flex gap-3 px-4 py-3" data-testid="download">
			<div className="pt-0.5">
				<Icon d={d} />
			</div>
			<div className="min-w-0 flex-1 space-y-1">
				<p className="truncate font-medium" title={formatName(d.name)}>
					{formatName(d.name)}
				</p>
				{['starting', 'running', 'waiting'].includes(d.state) && (
					<progress className="progress" aria-label={formatName(d.name)} value={d.total > 0 ? d.bytes / d.total : 0} />
				)}
				<p className="text-sm tabular-nums text-muted">{status(d)}</p>
				<Lost d={d} />
				{d.state === 'failed' && <Failure error={d.error} />}
				{(d.state === 'failed' || d.state === 'cancelled') && (
					<Button onClick={() => again(d)}>
						<RotateCw className="size-4" aria-hidden />
						{t.downloads.again}
						<span className="sr-only">: {formatName(d.name)}</span>
					</Button>
				)}
			</div>
			{active(d) ? (
				<IconButton
					className="self-start"
					icon={X}
					label={t.downloads.cancelNamed(d.name)}
					onClick={() => cancel(d.id)}
				/>
			) : (
				<IconButton
					className="self-start"
					icon={X}
					label={t.downloads.removeNamed(d.name)}
					onClick={() => remove(d.id)}
				/>
			)}
		</li>
	);
}

export function Tray() {
	const list = useStore(downloads);
	const [open, setOpen] = useState(true);
	if (list.length === 0) return null;
	const asking = list.find((d) => d.state === 'asking');
	const running = list.filter(active).length;
	return (
		<section
			aria-label={t.downloads.title}
			className="fixed inset-x-2 bottom-16 z-30 overflow-hidden rounded-xl border bg-surface shadow-xl sm:left-auto sm:right-4 sm:w-[26rem] md:bottom-4"
		>
			<div className="flex items-center gap-2 border-b bg-raised/60 px-4 py-1">
				<DownloadIcon className="size-4 text-muted" aria-hidden />
				<h2 className="flex-1 whitespace-nowrap text-sm font-semibold">
					{t.downloads.title} <span className="font-normal text-muted">({list.length})</span>
				</h2>
				{running < list.length && (
					<Button look="quiet" onClick={clearFinished}>
						{t.downloads.clear}
					</Button>
				)}
				<IconButton
					icon={open ? ChevronDown : ChevronUp}
					label={open ? t.downloads.collapse : t.downloads.expand}
					aria-expanded={open}
					onClick={() => setOpen(!open)}
				/>
			</div>
			{open && (
				<ul className="max-h-[40dvh] divide-y overflow-y-auto" tabIndex={0} aria-label={t.downloads.title}>
					{list.map((d) => (
						<Row key={d.id} d={d} />
					))}
				</ul>
			)}
			{asking && (
				<Dialog
					open
					onClose={() => answer(asking.id, false)}
					title={t.downloads.large}
					description={
						asking.archive
							? t.downloads.largeText(formatSize(asking.total), t.files(asking.files))
							: t.downloads.largeFile(formatSize(asking.total))
					}
				>
					<div className="flex justify-end gap-2">
						<Button onClick={() => answer(asking.id, false)}>{t.cancel}</Button>
						<Button look="primary" onClick={() => answer(asking.id, true)}>
							{t.downloads.go}
						</Button>
					</div>
				</Dialog>
			)}
		</section>
	);
}
