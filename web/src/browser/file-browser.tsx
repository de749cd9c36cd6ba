import { ArrowUp, FolderOpen, SearchX } from 'lucide-react';
import {
	useEffect,
	useLayoutEffect,
	useMemo,
	useRef,
	useState,
	type KeyboardEvent,
	type MouseEvent,
	type RefObject,
} from 'react';
import type { Schemas } from '@/api/client';
import { isCode, isNetwork, Problem } from '@/components/problem';
import { Button, Card, Dialog, Empty, IconButton, SkeletonRows } from '@/components/ui';
import { downloadArchive, downloadFile } from '@/downloads/store';
import { announce } from '@/lib/announce';
import { useDebounced, useMedia } from '@/lib/hooks';
import { formatName } from '@/lib/format';
import { baseName, browserUrl, childOn, join, parent, type BrowserAddress } from '@/lib/paths';
import { navigate, setSearch, useSearch } from '@/lib/router';
import * as selecting from '@/lib/selection';
import { t } from '@/texts';
import { Breadcrumbs } from './breadcrumbs';
import { Details } from './details';
import { FileTable, type Column } from './file-table';
import { KeyHelp, SelectionBar, Toolbar } from './toolbar';
import { useFolder, useSearchBeneath } from './use-folder';
import { isSort, totalOf, type Entry, type Order, type Sort } from './view';

const FILTER_MS = 300;
const COLUMNS_KEY = 'columns';

function storedColumns(): Column[] {
	const text = localStorage.getItem(COLUMNS_KEY);
	return text === null ? ['size', 'modified'] : (text.split(' ').filter(Boolean) as Column[]);
}

/** The folder shown before, and whether the keys worked on it. */
export interface Before {
	path: string;
	focused: boolean;
}

/** Made anew for each folder. */
export function FileBrowser({
	address,
	vm,
	before,
	onMountChanged,
}: {
	address: BrowserAddress;
	vm: string;
	before: RefObject<Before | null>;
	onMountChanged: () => unknown;
}) {
	const search = useSearch();
	const sort: Sort = isSort(search.get('sort')) ? (search.get('sort') as Sort) : 'name';
	const order: Order = search.get('order') === 'desc' ? 'desc' : 'asc';
	const [filter, setFilter] = useState(search.get('q') ?? '');
	const q = useDebounced(filter, FILTER_MS);
	const beneath = search.get('in') === 'beneath';
	const found = beneath && q !== '';
	const here = useFolder(address.mount, address.volume, address.path, sort, order, q);
	const hits = useSearchBeneath(address.mount, address.volume, address.path, sort, order, found ? q : '');
	const folder = found ? hits : here;
	const [selection, setSelection] = useState(selecting.nothing);
	const [columns, setColumns] = useState(storedColumns);
	const [help, setHelp] = useState(false);
	const stacked = useMedia('(max-width: 767px)');
	const narrow = useMedia('(max-width: 1023px)');
	const grid = useRef<HTMLDivElement>(null);
	const filterInput = useRef<HTMLInputElement>(null);
	const card = useRef<HTMLDivElement>(null);
	const file = search.get('file');
	const { rows } = folder;

	// The keys go on in the new list, at what was open before: the file shown, or the folder one came up from.
	const wanted = useRef<string | null>(file);
	useLayoutEffect(() => {
		const element = card.current;
		if (before.current?.focused) grid.current?.focus({ preventScroll: true });
		wanted.current ??= before.current && childOn(address.path, before.current.path);
		return () => {
			before.current = { path: address.path, focused: element?.contains(document.activeElement) ?? false };
		};
	}, [before, address.path]);
	useEffect(() => {
		if (wanted.current === null) return;
		const at = rows.findIndex((r) => r.name === wanted.current);
		if (at < 0) return;
		wanted.current = null;
		setSelection((s) => (s === selecting.nothing ? { ...s, active: at, anchor: at } : s));
	}, [rows]);
	const empty = !folder.pending && folder.error === null && rows.length === 0 && folder.settled;
	useEffect(() => {
		if (empty && document.activeElement === document.body) grid.current?.focus();
	}, [empty]);

	useEffect(() => setSearch({ q: q || null }), [q]);
	useEffect(() => {
		if (!q || folder.pending) return;
		const n = rows.length.toLocaleString('en');
		announce(found ? t.browser.found(n) : t.browser.shown(n, t.items(folder.total)));
	}, [q, found, rows.length, folder.pending, folder.total]);

	const url = (path: string) => browserUrl({ ...address, path });
	const keep = () => {
		const s = new URLSearchParams();
		if (sort !== 'name') s.set('sort', sort);
		if (order !== 'asc') s.set('order', order);
		return s.size > 0 ? `?${s}` : '';
	};
	const go = (path: string) => navigate(url(path) + keep());
	const show = (path: string | null) => setSearch({ file: path }, { replace: file !== null });
	/** What was found is named from this folder on. */
	const nameHere = (e: Entry) => (found ? e.path.slice(join(address.path, '').length) : e.name);
	const open = (e: Entry) => {
		if (e.type === 'directory') go(join(address.path, nameHere(e)));
		else show(nameHere(e));
	};
	const goUp = () => address.path !== '/' && go(parent(address.path));
	const changeSort = (s: Sort) => {
		const next = s === sort && order === 'asc' ? 'desc' : 'asc';
		setSearch({ sort: s === 'name' ? null : s, order: next === 'asc' ? null : next });
		setSelection(selecting.nothing);
	};
	const changeColumns = (c: Column[]) => {
		setColumns(c);
		localStorage.setItem(COLUMNS_KEY, c.join(' '));
	};

	const onClick = (index: number, e: MouseEvent) => {
		const entry = rows[index];
		const touch = (e.nativeEvent as PointerEvent).pointerType === 'touch';
		if (entry && touch) return open(entry);
		setSelection((s) => selecting.click(s, rows, index, { toggle: e.ctrlKey || e.metaKey, range: e.shiftKey }));
		if (entry && file !== null && !e.ctrlKey && !e.metaKey && !e.shiftKey) show(nameHere(entry));
	};
	const onToggle = (index: number, e: MouseEvent) =>
		setSelection((s) => selecting.click(s, rows, index, { toggle: true, range: e.shiftKey }));
	const chooseAll = () =>
		setSelection((s) => (s.chosen.size === rows.length ? selecting.clear(s) : selecting.all(s, rows)));

	const onKeyDown = (e: KeyboardEvent, pageRows: number) => {
		if (e.target instanceof HTMLButtonElement || (e.target instanceof HTMLInputElement && e.key === ' ')) return;
		const { active } = selection;
		const goTo = (to: number) => setSelection((s) => selecting.move(s, rows, to, e.shiftKey));
		const keys: Record<string, () => void> = {
			ArrowDown: () => goTo(active + 1),
			ArrowUp: () => goTo(active - 1),
			PageDown: () => goTo(active + pageRows),
			PageUp: () => goTo(active - pageRows),
			Home: () => goTo(0),
			End: () => goTo(rows.length - 1),
			' ': () => setSelection((s) => selecting.toggle(s, rows, active)),
			Enter: () => rows[active] && open(rows[active]),
			Backspace: goUp,
			'/': () => filterInput.current?.focus(),
			'?': () => setHelp(true),
			Escape: () => (file !== null ? show(null) : setSelection(selecting.clear)),
		};
		const all = e.key.toLowerCase() === 'a' && (e.ctrlKey || e.metaKey);
		const act = all
			? () => setSelection((s) => selecting.all(s, rows))
			: e.ctrlKey || e.metaKey
				? undefined
				: keys[e.key];
		if (!act) return;
		e.preventDefault();
		act();
	};

	const total = useMemo(() => totalOf(rows, selection.chosen), [rows, selection.chosen]);
	const chosenOne = selection.chosen.size === 1 ? rows.find((r) => selection.chosen.has(r.path)) : undefined;
	const archiveName = baseName(address.path) || vm || t.browser.home;
	const downloadFolder = (format: Schemas['ArchiveFormat']) =>
		void downloadArchive(address.mount, folder.volume, [address.path], archiveName, format);
	const downloadSelection = (format: Schemas['ArchiveFormat']) => {
		// All of a folder is that folder: its name is shorter than a list of everything in it.
		const everything = !q && selection.chosen.size === folder.total;
		const paths = everything ? [address.path] : [...selection.chosen];
		const name = chosenOne ? chosenOne.name : archiveName;
		void downloadArchive(address.mount, folder.volume, paths, name, format);
	};

	// The page above knows what to do when the mount has ended, or its volume is locked again.
	const gone = isCode(folder.error, 'MOUNT_NOT_FOUND') || isCode(folder.error, 'VOLUME_LOCKED');
	useEffect(() => {
		if (gone) onMountChanged();
	}, [gone, onMountChanged]);
	if (gone) return <SkeletonRows />;
	const folderOf = (path: string) => `${url(parent(path))}?${new URLSearchParams({ file: baseName(path) })}`;
	const details = file !== null && folder.volume > 0 && (
		<Details
			key={file}
			mount={address.mount}
			volume={folder.volume}
			path={join(address.path, file)}
			onClose={() => show(null)}
			folder={file.includes('/') ? folderOf(join(address.path, file)) : undefined}
			bare={narrow}
		/>
	);
	const complete = folder.loaded >= folder.total;
	const footnote = !folder.settled
		? t.browser.loadingMore
		: q
			? t.browser.filterSees(folder.loaded.toLocaleString('en'))
			: t.browser.readOn(folder.loaded.toLocaleString('en'));
	const shownText = rows.length.toLocaleString('en');
	const summary = found
		? hits.cut
			? t.browser.foundCut(shownText)
			: t.browser.found(shownText)
		: q
			? t.browser.shown(shownText, t.items(folder.total))
			: t.items(folder.total);
	const searchBeneath = (on: boolean) => {
		setSelection(selecting.nothing);
		setSearch({ in: on ? 'beneath' : null });
	};
	return (
		<div ref={card} className="flex min-h-0 flex-1 gap-4">
			<Card
				className="flex h-[calc(100dvh-15rem)] min-h-[26rem] min-w-0 flex-1 flex-col md:h-[calc(100dvh-12.5rem)]"
				aria-label={t.browser.region}
			>
				<div className="flex items-center gap-1 border-b px-2 py-1">
					<IconButton icon={ArrowUp} label={t.browser.up} disabled={address.path === '/'} onClick={goUp} />
					<Breadcrumbs address={address} />
				</div>
				{selection.chosen.size > 0 ? (
					<SelectionBar
						total={total}
						single={chosenOne?.type === 'file'}
						onDownloadFile={() =>
							chosenOne &&
							void downloadFile(address.mount, folder.volume, chosenOne.path, chosenOne.name, chosenOne.size ?? 0)
						}
						onDownload={downloadSelection}
						onClear={() => setSelection(selecting.clear)}
					/>
				) : (
					<Toolbar
						filter={filter}
						filterRef={filterInput}
						onFilter={(text) => {
							setFilter(text);
							setSelection(selecting.nothing);
						}}
						beneath={beneath}
						onBeneath={(on) => {
							searchBeneath(on);
							filterInput.current?.focus();
						}}
						columns={columns}
						onColumns={changeColumns}
						stacked={stacked}
						sort={sort}
						order={order}
						onSort={changeSort}
						onHelp={() => setHelp(true)}
						onDownloadFolder={downloadFolder}
						backToList={() => grid.current?.focus()}
					/>
				)}
				{folder.error !== null && !isNetwork(folder.error) && <Problem error={folder.error} onRetry={folder.retry} />}
				{empty ? (
					<div
						ref={grid}
						tabIndex={-1}
						className="flex-1 overflow-auto outline-none"
						onKeyDown={(e) => onKeyDown(e, 1)}
					>
						{q ? (
							<Empty icon={SearchX} title={found ? t.browser.noneBeneath(q) : t.browser.noMatch(q)}>
								{!found && <Button onClick={() => searchBeneath(true)}>{t.browser.searchBeneath}</Button>}
							</Empty>
						) : (
							<Empty icon={FolderOpen} title={t.browser.empty} />
						)}
					</div>
				) : (
					(folder.error === null || folder.loaded > 0) && (
						<FileTable
							rows={rows}
							count={q ? rows.length : Math.max(folder.total, rows.length)}
							pending={folder.pending}
							selection={selection}
							columns={columns}
							stacked={stacked}
							q={q}
							found={found}
							sort={sort}
							order={order}
							label={formatName(baseName(address.path)) || t.browser.home}
							gridRef={grid}
							onSort={changeSort}
							onClick={onClick}
							onToggle={onToggle}
							onOpen={open}
							onChooseAll={chooseAll}
							onKeyDown={onKeyDown}
							onReadOn={folder.readOn}
						/>
					)
				)}
				<p className="border-t px-4 py-2 text-xs text-muted">
					{folder.pending ? t.loading : summary}
					{!complete && !folder.pending && ` · ${footnote}`}
				</p>
			</Card>
			{details &&
				(narrow ? (
					<Dialog open onClose={() => show(null)} title={formatName(baseName(file ?? ''))}>
						{details}
					</Dialog>
				) : (
					<aside
						aria-label={t.browser.details}
						className="h-[calc(100dvh-12.5rem)] min-h-[26rem] w-96 shrink-0 overflow-y-auto rounded-xl border bg-surface p-4"
						tabIndex={0}
					>
						{details}
					</aside>
				))}
			<KeyHelp open={help} onClose={() => setHelp(false)} />
		</div>
	);
}
