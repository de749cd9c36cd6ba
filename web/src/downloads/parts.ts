/** Splits paths so that each part's JSON has about `max` characters at most; at least one path goes into each. */
export function inParts(paths: readonly string[], max: number): string[][] {
	const parts: string[][] = [];
	let room = 0;
	for (const path of paths) {
		const need = JSON.stringify(path).length + 1;
		const last = parts.at(-1);
		if (last && need <= room) {
			last.push(path);
			room -= need;
		} else {
			parts.push([path]);
			room = max - need;
		}
	}
	return parts;
}
