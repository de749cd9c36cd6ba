import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { memo, useEffect, useRef, type KeyboardEvent, type MouseEvent, type Ref } from 'react';
import { Skeleton } from '@/components/ui';
import { cn } from '@/lib/cn';
import { formatDate, formatMode, formatName, formatSize } from '@/lib/format';
import { parent } from '@/lib/paths';
import type { Selection } from '@/lib/selection';
import { t } from '@/texts';
import { FileIcon } from './file-icon';
import { matchParts, type Entry, type Order, type Sort } from './view';

export type Column = 'size' | 'modified' | 'mode' | 'owner';

const WIDTHS: Record<Column, string> = { size: '6.5rem', modified: '11rem', mode: '7.5rem', owner: '7rem' };
const ROW = 40;
const ROW_STACKED = 60;
const SKELETON_ROWS = 8;

function cellText(entry: Entry, column: Column): string {
	switch (column) {
		case 'size':
			return entry.type === 'directory' ? '' : formatSize(entry.size);
		case 'modified':
			return formatDate(entry.modified_time);
		case 'mode':
			return formatMode(entry.mode, entry.type);
		default:
			return entry.uid === undefined ? t.none : `${entry.uid}:${entry.gid ?? 0}`;
	}
}

function Name({ entry, q }: { entry: Entry; q: string }) {
	const [before, match, after] = matchParts(entry.name, q);
	return (
		<span className="truncate" title={formatName(entry.name)}>
			{formatName(before)}
			{match && <mark>{formatName(match)}</mark>}
			{formatName(after)}
			{entry.link_target !== undefined && (
				<span className="text-muted"> {t.browser.linkTo(formatName(entry.link_target))}</span>
			)}
		</span>
	);
}

function reason(entry: Entry): string {
	return entry.error ? (t.errors.byCode[entry.error.code]?.[0] ?? entry.error.message) : '';
}

interface HeaderProps {
	columns: Column[];
	template: string;
	sort: Sort;
	order: Order;
	onSort: (sort: Sort) => void;
	allChosen: boolean;
	someChosen: boolean;
	onChooseAll: () => void;
}

function Header({ columns, template, sort, order, onSort, allChosen, someChosen, onChooseAll }: HeaderProps) {
	return (
		<div role="rowgroup" className="sticky top-0 z-10 border-b bg-surface">
			<div
				role="row"
				aria-rowindex={1}
				className="grid items-center text-sm text-muted"
				style={{ gridTemplateColumns: template }}
			>
				<div role="columnheader" className="grid place-items-center">
					<label className="grid size-11 cursor-pointer place-items-center md:size-10">
						<input
							type="checkbox"
							className="size-4 accent-[rgb(var(--accent))]"
							aria-label={t.browser.selectAll}
							checked={allChosen}
							ref={(box) => {
								if (box) box.indeterminate = someChosen && !allChosen;
							}}
							onChange={onChooseAll}
						/>
					</label>
				</div>
				{(['name', ...columns] as Sort[]).map((c) => (
					<div
						key={c}
						role="columnheader"
						aria-sort={sort === c ? (order === 'asc' ? 'ascending' : 'descending') : 'none'}
						className={cn(c === 'size' && 'text-right')}
					>
						<button
							type="button"
							onClick={() => onSort(c)}
							className={cn(
								'inline-flex min-h-11 items-center gap-1 rounded px-2 font-medium -outline-offset-2 hover:text-ink md:min-h-10',
								sort === c && 'text-ink',
							)}
						>
							{t.browser[c]}
							{sort === c &&
								(order === 'asc' ? (
									<ArrowUp className="size-3.5" aria-hidden />
								) : (
									<ArrowDown className="size-3.5" aria-hidden />
								))}
						</button>
					</div>
				))}
			</div>
		</div>
	);
}

interface RowProps {
	entry: Entry;
	index: number;
	q: string;
	found: boolean;
	columns: Column[];
	template: string;
	stacked: boolean;
	chosen: boolean;
	active: boolean;
	top: number;
	height: number;
	onClick: (index: number, e: MouseEvent) => void;
	onOpen: (entry: Entry) => void;
	onToggle: (index: number, e: MouseEvent) => void;
}

/** Memoised: while scrolling only rows that come into view are worked on. */
const Row = memo(function Row({
	entry,
	index,
	q,
	found,
	columns,
	template,
	stacked,
	chosen,
	active,
	top,
	height,
	onClick,
	onOpen,
	onToggle,
}: RowProps) {
	const why = reason(entry);
	const about = [
		found && formatName(parent(entry.path)),
		stacked && cellText(entry, 'size'),
		stacked && cellText(entry, 'modified'),
	].filter(Boolean);
	return (
		<div
			role="row"
			id={`row-${index}`}
			aria-rowindex={index + 2}
			aria-selected={chosen}
			className={cn(
				'absolute inset-x-0 grid cursor-default select-none items-center border-b border-line/60 text-sm',
				chosen ? 'bg-accent-soft' : 'hover:bg-raised/70',
				active &&
					'group-focus-visible:outline group-focus-visible:outline-2 group-focus-visible:-outline-offset-2 group-focus-visible:outline-accent',
			)}
			style={{ transform: `translateY(${top}px)`, height, gridTemplateColumns: template }}
			onClick={(e) => onClick(index, e)}
			onDoubleClick={() => onOpen(entry)}
		>
			<div role="gridcell" className="grid h-full place-items-center" onDoubleClick={(e) => e.stopPropagation()}>
				<label
					className="grid size-11 cursor-pointer place-items-center md:size-10"
					onClick={(e) => e.stopPropagation()}
				>
					<input
						type="checkbox"
						tabIndex={-1}
						className="size-4 accent-[rgb(var(--accent))]"
						aria-label={t.browser.selectRow(formatName(entry.name))}
						checked={chosen}
						readOnly
						onClick={(e) => {
							e.stopPropagation();
							onToggle(index, e);
						}}
					/>
				</label>
			</div>
			<div role="gridcell" className="flex min-w-0 items-center gap-2.5 px-2">
				<FileIcon entry={entry} />
				<span className="flex min-w-0 flex-1 flex-col">
					<Name entry={entry} q={q} />
					{(why || about.length > 0) && (
						<span className={cn('truncate text-xs', why ? 'text-danger' : 'text-muted')}>
							{why || about.join(' · ')}
						</span>
					)}
				</span>
			</div>
			{columns.map((c) => (
				<div
					key={c}
					role="gridcell"
					className={cn(
						'truncate px-2 tabular-nums text-muted',
						c === 'size' && 'text-right',
						c === 'mode' && 'font-mono text-xs',
					)}
				>
					{cellText(entry, c)}
				</div>
			))}
		</div>
	);
});

export interface FileTableProps {
	rows: Entry[];
	/** Rows there will be, when all are read; more than rows.length while some are not. */
	count: number;
	pending: boolean;
	selection: Selection;
	columns: Column[];
	stacked: boolean;
	q: string;
	/** The rows lie in several folders, which they name. */
	found: boolean;
	sort: Sort;
	order: Order;
	label: string;
	gridRef: Ref<HTMLDivElement>;
	onSort: (sort: Sort) => void;
	onClick: (index: number, e: MouseEvent) => void;
	onToggle: (index: number, e: MouseEvent) => void;
	onOpen: (entry: Entry) => void;
	onChooseAll: () => void;
	onKeyDown: (e: KeyboardEvent, pageRows: number) => void;
	/** Rows are in view that were not read. */
	onReadOn: () => void;
}

export function FileTable(p: FileTableProps) {
	const scroller = useRef<HTMLDivElement>(null);
	const height = p.stacked ? ROW_STACKED : ROW;
	const count = p.pending ? SKELETON_ROWS : p.count;
	const virtual = useVirtualizer({
		count,
		getScrollElement: () => scroller.current,
		estimateSize: () => height,
		overscan: 12,
	});
	const columns = p.stacked ? [] : p.columns;
	const template = ['3rem', 'minmax(0,1fr)', ...columns.map((c) => WIDTHS[c])].join(' ');

	const { measure, scrollToIndex } = virtual;
	useEffect(() => measure(), [height, measure]);
	const active = p.selection.active;
	const moved = useRef(active);
	useEffect(() => {
		if (moved.current === active) return;
		moved.current = active;
		scrollToIndex(active, { align: 'auto' });
	}, [active, scrollToIndex]);

	const items = virtual.getVirtualItems();
	const beyond = !p.pending && (items.at(-1)?.index ?? 0) >= p.rows.length && p.rows.length < p.count;
	const { onReadOn } = p;
	useEffect(() => {
		if (beyond) onReadOn();
	}, [beyond, onReadOn]);

	const pageRows = () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / height) - 2);
	return (
		<div
			ref={scroller}
			data-testid="scroller"
			className="min-h-64 flex-1 overflow-auto rounded-b-xl [contain:strict] [scroll-padding-top:44px]"
		>
			<div
				ref={p.gridRef}
				role="grid"
				aria-label={p.label}
				aria-rowcount={p.count + 1}
				aria-multiselectable
				aria-busy={p.pending}
				tabIndex={0}
				{...(p.rows.length > 0 && !p.pending && { 'aria-activedescendant': `row-${active}` })}
				className="group min-h-full outline-none"
				onKeyDown={(e) => p.onKeyDown(e, pageRows())}
			>
				<Header
					columns={columns}
					template={template}
					sort={p.sort}
					order={p.order}
					onSort={p.onSort}
					allChosen={p.rows.length > 0 && p.selection.chosen.size === p.rows.length}
					someChosen={p.selection.chosen.size > 0}
					onChooseAll={p.onChooseAll}
				/>
				<div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
					{items.map((item) => {
						const entry = p.pending ? undefined : p.rows[item.index];
						return entry ? (
							<Row
								key={entry.path}
								entry={entry}
								index={item.index}
								q={p.q}
								found={p.found}
								columns={columns}
								template={template}
								stacked={p.stacked}
								chosen={p.selection.chosen.has(entry.path)}
								active={item.index === active}
								top={item.start}
								height={height}
								onClick={p.onClick}
								onOpen={p.onOpen}
								onToggle={p.onToggle}
							/>
						) : (
							<div
								key={item.key}
								role="row"
								aria-rowindex={item.index + 2}
								className="absolute inset-x-0 flex items-center gap-3 px-4"
								style={{ transform: `translateY(${item.start}px)`, height }}
							>
								<div role="gridcell" className="w-full" aria-label={t.loading}>
									<Skeleton className="w-full" />
								</div>
							</div>
						);
					})}
				</div>
			</div>
		</div>
	);
}
