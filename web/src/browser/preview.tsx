import { useQuery } from '@tanstack/react-query';
import { FileQuestion } from 'lucide-react';
import { useState } from 'react';
import { downloadUrl, NetworkError, toApiError, type Schemas } from '@/api/client';
import { Problem } from '@/components/problem';
import { Skeleton } from '@/components/ui';
import { formatSize } from '@/lib/format';
import { t } from '@/texts';
import { asText, previewKind } from './kinds';

const TEXT_BYTES = 64 * 1024;

async function firstBytes(url: string, signal: AbortSignal): Promise<Uint8Array> {
	let response: Response;
	try {
		response = await fetch(url, { headers: { Range: `bytes=0-${TEXT_BYTES - 1}` }, signal });
		if (response.ok) return new Uint8Array(await response.arrayBuffer());
	} catch (e) {
		if (signal.aborted) throw e;
		throw new NetworkError();
	}
	throw toApiError(response.status, await response.json().catch(() => null));
}

function Nothing() {
	return (
		<p className="flex items-center gap-2 text-sm text-muted">
			<FileQuestion className="size-4" aria-hidden />
			{t.preview.none}
		</p>
	);
}

function TextPreview({ url, size, name }: { url: string; size: number; name: string }) {
	const bytes = useQuery({
		queryKey: ['preview', url],
		queryFn: ({ signal }) => firstBytes(url, signal),
		staleTime: Infinity,
	});
	if (bytes.isPending) return <Skeleton className="h-40" />;
	if (bytes.isError) return <Problem error={bytes.error} onRetry={() => void bytes.refetch()} />;
	const cut = size > bytes.data.length;
	const text = asText(bytes.data, cut);
	if (text === null) return <Nothing />;
	return (
		<>
			<pre
				tabIndex={0}
				aria-label={`${t.preview.title}: ${name}`}
				className="max-h-96 overflow-auto whitespace-pre-wrap break-words rounded-lg border bg-page p-3 font-mono text-xs"
			>
				{text}
			</pre>
			{cut && <p className="mt-1 text-xs text-muted">{t.preview.cut(formatSize(TEXT_BYTES))}</p>}
		</>
	);
}

/** Shows a file without running anything of it: the hub gives it a type that browsers only display, in a sandbox. */
export function Preview({ mount, volume, file }: { mount: string; volume: number; file: Schemas['FileEntry'] }) {
	const [failed, setFailed] = useState(false);
	if (file.type !== 'file' || file.error) return null;
	if (file.size === 0) return <p className="text-sm text-muted">{t.preview.empty}</p>;
	const url = downloadUrl(mount, volume, file.path, { disposition: 'inline' });
	if (failed) return <p className="text-sm text-muted">{t.preview.failed}</p>;
	const fail = () => setFailed(true);
	switch (previewKind(file.name)) {
		case 'image':
			return (
				<img src={url} alt={file.name} onError={fail} className="max-h-96 rounded-lg border bg-raised object-contain" />
			);
		case 'audio':
			return <audio src={url} controls preload="metadata" onError={fail} className="w-full" />;
		case 'video':
			return (
				<video src={url} controls preload="metadata" onError={fail} className="max-h-96 w-full rounded-lg bg-black" />
			);
		case 'pdf':
			return <iframe src={url} title={file.name} className="h-96 w-full rounded-lg border bg-white" />;
		default:
			return <TextPreview url={url} size={file.size ?? 0} name={file.name} />;
	}
}
