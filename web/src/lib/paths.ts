/* Paths inside a volume, and the page's addresses for them: /restore/<mount>/<volume>/path… */

export interface BrowserAddress {
	mount: string;
	volume: number;
	path: string;
}

const encode = encodeURIComponent;

export function segments(path: string): string[] {
	return path.split('/').filter((s) => s !== '');
}

export function join(dir: string, name: string): string {
	return dir === '/' ? `/${name}` : `${dir}/${name}`;
}

export function parent(path: string): string {
	return '/' + segments(path).slice(0, -1).join('/');
}

export function baseName(path: string): string {
	return segments(path).at(-1) ?? '';
}

/** The name in `dir` that the way to `path` leads through; null where it does not lead through `dir`. */
export function childOn(dir: string, path: string): string | null {
	const above = segments(dir);
	const way = segments(path);
	return above.every((name, i) => name === way[i]) ? (way[above.length] ?? null) : null;
}

export function browserUrl(address: BrowserAddress): string {
	return ['/restore', encode(address.mount), address.volume, ...segments(address.path).map(encode)].join('/');
}

function decode(text: string): string | null {
	try {
		return decodeURIComponent(text);
	} catch {
		return null;
	}
}

/** null: the pathname is not of a folder in a mount. Volume 0: the default one. */
export function parseBrowserUrl(pathname: string): BrowserAddress | null {
	const [first, mount, volume, ...names] = segments(pathname).map(decode);
	if (first !== 'restore' || !mount) return null;
	const number = volume === undefined ? 0 : Number(volume);
	if (!Number.isInteger(number) || number < 0 || names.includes(null)) return null;
	return { mount, volume: number, path: '/' + names.join('/') };
}
