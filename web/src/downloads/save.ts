/** Lets the browser save what an address gives, without leaving the page. */
export function saveUrl(url: string, name?: string) {
	const a = document.createElement('a');
	a.href = url;
	a.download = name ?? '';
	a.hidden = true;
	document.body.append(a);
	a.click();
	a.remove();
}

export function saveBlob(blob: Blob, name: string) {
	const url = URL.createObjectURL(blob);
	saveUrl(url, name);
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
