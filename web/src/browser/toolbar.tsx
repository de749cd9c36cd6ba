import { ArrowUpDown, Columns3, Download, FolderDown, FolderTree, Keyboard, X } from 'lucide-react';
import type { Ref } from 'react';
import type { Schemas } from '@/api/client';
import { Button, Dialog, DropdownMenu, IconButton, Input, MenuCheck, MenuItem } from '@/components/ui';
import { formatSize } from '@/lib/format';
import { t } from '@/texts';
import type { Column } from './file-table';
import { SORTS, type Order, type Sort, type Total } from './view';

const FORMATS: Schemas['ArchiveFormat'][] = ['zip', 'tar.gz', 'tar.zst'];
const COLUMNS: Column[] = ['size', 'modified', 'mode', 'owner'];

/** Download as …: the formats. */
export function FormatMenu({
	label,
	icon,
	onChoose,
}: {
	label: string;
	icon: 'folder' | 'plain';
	onChoose: (f: Schemas['ArchiveFormat']) => void;
}) {
	const Icon = icon === 'folder' ? FolderDown : Download;
	return (
		<DropdownMenu
			trigger={
				<Button look={icon === 'folder' ? 'plain' : 'primary'}>
					<Icon className="size-4" aria-hidden />
					<span className={icon === 'folder' ? 'sr-only sm:not-sr-only' : ''}>{label}</span>
				</Button>
			}
		>
			{FORMATS.map((f) => (
				<MenuItem key={f} onSelect={() => onChoose(f)}>
					{f === 'zip' ? 'ZIP' : f}
				</MenuItem>
			))}
		</DropdownMenu>
	);
}

export function SelectionBar({
	total,
	single,
	onDownloadFile,
	onDownload,
	onClear,
}: {
	total: Total;
	/** One plain file, which needs no archive. */
	single: boolean;
	onDownloadFile: () => void;
	onDownload: (f: Schemas['ArchiveFormat']) => void;
	onClear: () => void;
}) {
	return (
		<div className="flex flex-wrap items-center gap-2 border-b bg-accent-soft px-3 py-1.5" role="status">
			<span className="flex-1 text-sm font-medium">
				{t.browser.selected(total.count)}
				<span className="font-normal">
					{' · '}
					{[
						(total.bytes > 0 || total.folders === 0) && formatSize(total.bytes),
						total.folders > 0 && t.folders(total.folders),
					]
						.filter(Boolean)
						.join(' + ')}
				</span>
			</span>
			{single ? (
				<Button look="primary" onClick={onDownloadFile}>
					<Download className="size-4" aria-hidden />
					{t.browser.download}
				</Button>
			) : (
				<FormatMenu label={t.browser.download} icon="plain" onChoose={onDownload} />
			)}
			<IconButton icon={X} label={t.browser.clearSelection} onClick={onClear} />
		</div>
	);
}

export function Toolbar({
	filter,
	filterRef,
	onFilter,
	beneath,
	onBeneath,
	columns,
	onColumns,
	stacked,
	sort,
	order,
	onSort,
	onHelp,
	onDownloadFolder,
	backToList,
}: {
	filter: string;
	filterRef: Ref<HTMLInputElement>;
	onFilter: (q: string) => void;
	/** The text is looked for in all folders beneath, not in this one alone. */
	beneath: boolean;
	onBeneath: (on: boolean) => void;
	columns: Column[];
	onColumns: (c: Column[]) => void;
	stacked: boolean;
	sort: Sort;
	order: Order;
	onSort: (s: Sort) => void;
	onHelp: () => void;
	onDownloadFolder: (f: Schemas['ArchiveFormat']) => void;
	backToList: () => void;
}) {
	return (
		<div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
			<div className="relative min-w-32 flex-1 sm:max-w-xs">
				<Input
					ref={filterRef}
					type="text"
					aria-label={t.browser.filter}
					placeholder={t.browser.filterPlaceholder}
					className="pr-11"
					value={filter}
					onChange={(e) => onFilter(e.target.value)}
					onKeyDown={(e) => {
						if (e.key === 'Escape') onFilter('');
						if (e.key === 'Escape' || e.key === 'ArrowDown' || e.key === 'Enter') {
							e.preventDefault();
							backToList();
						}
					}}
				/>
				{filter && (
					<IconButton
						icon={X}
						label={t.browser.clearFilter}
						className="absolute right-0 top-0"
						onClick={() => onFilter('')}
					/>
				)}
			</div>
			<Button
				look="quiet"
				className="aria-pressed:bg-accent-soft aria-pressed:text-accent"
				aria-pressed={beneath}
				onClick={() => onBeneath(!beneath)}
			>
				<FolderTree className="size-4" aria-hidden />
				<span className="sr-only sm:not-sr-only">{t.browser.beneath}</span>
			</Button>
			<div className="ml-auto flex items-center gap-1">
				<FormatMenu label={t.browser.downloadFolder} icon="folder" onChoose={onDownloadFolder} />
				{stacked ? (
					<DropdownMenu trigger={<IconButton icon={ArrowUpDown} label={t.browser.sort} />}>
						{SORTS.map((s) => (
							<MenuCheck key={s} checked={s === sort} onCheckedChange={() => onSort(s)}>
								{t.browser[s]}
								{s === sort && (
									<span className="text-muted">{order === 'asc' ? t.browser.ascending : t.browser.descending}</span>
								)}
							</MenuCheck>
						))}
					</DropdownMenu>
				) : (
					<>
						<DropdownMenu trigger={<IconButton icon={Columns3} label={t.browser.columns} />}>
							{COLUMNS.map((c) => (
								<MenuCheck
									key={c}
									checked={columns.includes(c)}
									onCheckedChange={(on) => onColumns(COLUMNS.filter((x) => (x === c ? on : columns.includes(x))))}
								>
									{t.browser[c]}
								</MenuCheck>
							))}
						</DropdownMenu>
						<IconButton icon={Keyboard} label={t.browser.keys} onClick={onHelp} />
					</>
				)}
			</div>
		</div>
	);
}

export function KeyHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
	return (
		<Dialog open={open} onClose={onClose} title={t.browser.keysTitle}>
			<dl className="grid grid-cols-[auto_1fr] gap-x-5 gap-y-2 text-sm">
				{t.browser.keyList.map(([key, text]) => (
					<div key={key} className="contents">
						<dt>
							<kbd className="rounded border bg-raised px-1.5 py-0.5 font-mono text-xs">{key}</kbd>
						</dt>
						<dd>{text}</dd>
					</div>
				))}
			</dl>
		</Dialog>
	);
}
