export function extension(name: string): string {
	const dot = name.lastIndexOf('.');
	return dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
}

export type PreviewKind = 'image' | 'audio' | 'video' | 'pdf' | 'text';

const KINDS: Record<string, PreviewKind> = {};
const add = (kind: PreviewKind, list: string) => list.split(' ').forEach((e) => (KINDS[e] = kind));
add('image', 'png jpg jpeg gif webp bmp ico');
add('audio', 'mp3 ogg oga wav flac m4a');
add('video', 'mp4 webm ogv mov');
add('pdf', 'pdf');

/** How a file can be shown. What is nothing else may be text: its first bytes tell. */
export function previewKind(name: string): PreviewKind {
	return KINDS[extension(name)] ?? 'text';
}

/** The text of a file's first bytes, or null where they are no text. `cut`: there are more. */
export function asText(bytes: Uint8Array, cut: boolean): string | null {
	if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes.subarray(2));
	if (bytes.includes(0)) return null;
	try {
		// With stream, a character that the cut halves is no error.
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
	} catch {
		return new TextDecoder('windows-1252').decode(bytes);
	}
}
