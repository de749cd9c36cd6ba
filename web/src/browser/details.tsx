import { Download, FolderOpen, X } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Schemas } from '@/api/client';
import { useFileInfo, useFiles } from '@/api/queries';
import { Problem } from '@/components/problem';
import { Button, IconButton, SkeletonRows } from '@/components/ui';
import { downloadFile } from '@/downloads/store';
import { explain } from '@/lib/errors';
import { formatExact, formatMode, formatName, formatSize } from '@/lib/format';
import { baseName, browserUrl } from '@/lib/paths';
import { Link } from '@/lib/router';
import { t } from '@/texts';
import { FileIcon } from './file-icon';
import { Preview } from './preview';

type Info = Schemas['FileInfo'];

function facts(f: Info): [string, ReactNode][] {
	const list: [string, ReactNode][] = [
		[t.details.path, <code className="break-all font-mono text-xs">{formatName(f.path)}</code>],
		[t.details.type, t.browser.types[f.type]],
	];
	if (f.size !== null && f.type === 'file')
		list.push([t.details.size, `${formatSize(f.size)} (${t.details.bytes(f.size)})`]);
	if (f.type === 'file') list.push([t.details.allocated, formatSize(f.allocated_size)]);
	if (f.link_target !== undefined)
		list.push([t.details.target, <code className="break-all font-mono text-xs">{formatName(f.link_target)}</code>]);
	const times: [string, string | null][] = [
		[t.details.modified, f.modified_time],
		[t.details.changed, f.changed_time],
		[t.details.accessed, f.accessed_time],
		[t.details.created, f.created_time],
	];
	for (const [label, time] of times) if (time) list.push([label, formatExact(time)]);
	if (f.mode) list.push([t.details.mode, `${formatMode(f.mode, f.type)} (${f.mode})`]);
	if (f.uid !== undefined) list.push([t.details.owner, `${f.uid}:${f.gid ?? 0}`]);
	if (f.links > 1) list.push([t.details.links, f.links]);
	list.push([t.details.inode, f.inode]);
	if (f.dos_attributes) list.push([t.details.attributes, f.dos_attributes]);
	if (f.compressed) list.push([t.details.compressed, t.details.yes]);
	if (f.encrypted) list.push([t.details.encrypted, t.details.yes]);
	return list;
}

/** A link to a folder opens like one; the hub follows it, inside the volume. */
function Follow({ f, mount, volume }: { f: Info; mount: string; volume: number }) {
	const folder = useFiles(mount, volume, f.path, 'name', 'asc');
	if (!folder.isSuccess) return null;
	return (
		<Button asChild className="w-full">
			<Link href={browserUrl({ mount, volume, path: f.path })}>
				<FolderOpen className="size-4" aria-hidden />
				{t.browser.followLink}
			</Link>
		</Button>
	);
}

function Extras({ f, mount, volume }: { f: Info; mount: string; volume: number }) {
	return (
		<>
			{f.streams.length > 0 && (
				<div>
					<h3 className="mb-1 text-sm font-semibold">{t.details.streams}</h3>
					<ul className="space-y-1">
						{f.streams.map((s) => (
							<li key={s.name} className="flex items-center justify-between gap-2 text-sm">
								<code className="min-w-0 break-all font-mono text-xs">{s.name}</code>
								<Button onClick={() => void downloadFile(mount, volume, f.path, f.name, s.size, s.name)}>
									<Download className="size-4" aria-hidden />
									{formatSize(s.size)}
									<span className="sr-only">: {s.name}</span>
								</Button>
							</li>
						))}
					</ul>
				</div>
			)}
			{f.xattrs.length > 0 && (
				<div>
					<h3 className="mb-1 text-sm font-semibold">{t.details.xattrs}</h3>
					<dl className="space-y-1.5 text-sm">
						{f.xattrs.map((x) => (
							<div key={x.name}>
								<dt className="break-all font-mono text-xs text-muted">{x.name}</dt>
								<dd className="line-clamp-3 break-all font-mono text-xs">{x.text ?? x.hex}</dd>
							</div>
						))}
					</dl>
				</div>
			)}
			{f.details_incomplete && <p className="text-sm text-muted">{t.details.incomplete}</p>}
		</>
	);
}

export function Details({
	mount,
	volume,
	path,
	onClose,
	folder,
	bare = false,
}: {
	mount: string;
	volume: number;
	path: string;
	onClose: () => void;
	/** The address of the folder it lies in, where that is not the one shown. */
	folder?: string | undefined;
	/** In a dialog, which has a head of its own. */
	bare?: boolean;
}) {
	const info = useFileInfo(mount, volume, path);
	const f = info.data;
	return (
		<div className="space-y-4">
			{!bare && (
				<div className="flex items-start gap-2">
					<div className="flex min-w-0 flex-1 items-start gap-2 pt-1.5">
						{f && <FileIcon entry={f} />}
						<h2 className="min-w-0 break-words font-semibold">{formatName(baseName(path))}</h2>
					</div>
					<IconButton icon={X} label={t.close} onClick={onClose} />
				</div>
			)}
			{info.isPending ? (
				<SkeletonRows rows={5} />
			) : info.isError ? (
				<Problem error={info.error} onRetry={() => void info.refetch()} />
			) : (
				f && (
					<>
						{f.error && (
							<p role="alert" className="rounded-lg bg-danger-soft p-3 text-sm text-danger">
								{t.errors.byCode[f.error.code]?.[0] ?? explain(null).title}. {f.error.message}
							</p>
						)}
						{f.type === 'file' && !f.error && (
							<Button
								look="primary"
								className="w-full"
								onClick={() => void downloadFile(mount, volume, f.path, f.name, f.size ?? 0)}
							>
								<Download className="size-4" aria-hidden />
								{t.browser.download} · {formatSize(f.size)}
							</Button>
						)}
						{f.type === 'symlink' && <Follow f={f} mount={mount} volume={volume} />}
						{folder && (
							<Button asChild className="w-full">
								<Link href={folder}>
									<FolderOpen className="size-4" aria-hidden />
									{t.browser.openFolder}
								</Link>
							</Button>
						)}
						<Preview key={f.path} mount={mount} volume={volume} file={f} />
						<dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-sm">
							{facts(f).map(([label, value]) => (
								<div key={label} className="contents">
									<dt className="text-muted">{label}</dt>
									<dd className="break-words">{value}</dd>
								</div>
							))}
						</dl>
						<Extras f={f} mount={mount} volume={volume} />
					</>
				)
			)}
		</div>
	);
}
