import { t } from '@/texts';

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal units, as file managers and download dialogs show them. */
export function formatSize(bytes: number | null | undefined): string {
	if (bytes === null || bytes === undefined) return t.none;
	let unit = 0;
	let value = bytes;
	while (value >= 999.5 && unit < UNITS.length - 1) {
		value /= 1000;
		unit++;
	}
	const digits = unit === 0 || value >= 99.95 ? 0 : 1;
	return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

// NAME_ESCAPE_FIRST to LAST of src/base/utf8.h stand for bytes that are no UTF-8.
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\uef80-\uefff]/gu;

/** A name with all written out that is not seen or lets it look like another; in the command line's way. */
export function formatName(name: string): string {
	return name.replace(UNSEEN, (c) => {
		const code = c.charCodeAt(0);
		const byte = code < 0x80 || code >= 0xef80;
		return byte ? `\\x${(code & 0xff).toString(16).padStart(2, '0')}` : `\\u{${code.toString(16).padStart(4, '0')}}`;
	});
}

const dateTime = new Intl.DateTimeFormat('en-GB', {
	year: 'numeric',
	month: 'short',
	day: 'numeric',
	hour: '2-digit',
	minute: '2-digit',
});
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

function parse(text: string | null | undefined): Date | null {
	// Filesystems have nanoseconds; Date.parse wants no more than milliseconds.
	const date = text ? new Date(text.replace(/(\.\d{3})\d+/, '$1')) : null;
	return date && !Number.isNaN(date.getTime()) ? date : null;
}

export function formatDate(text: string | null | undefined): string {
	const date = parse(text);
	return date ? dateTime.format(date) : t.none;
}

export function formatExact(text: string | null | undefined): string {
	const date = parse(text);
	return date ? exact.format(date) : t.none;
}

export function formatDuration(seconds: number): string {
	const s = Math.max(0, Math.round(seconds));
	if (s < 60) return t.durations.seconds(s);
	if (s < 3600) return t.durations.minutes(Math.floor(s / 60), s % 60);
	if (s < 86400) return t.durations.hours(Math.floor(s / 3600), Math.floor((s % 3600) / 60));
	return t.durations.days(Math.floor(s / 86400), Math.floor((s % 86400) / 3600));
}

const KIND: Record<string, string> = { directory: 'd', symlink: 'l', block: 'b', char: 'c', fifo: 'p', socket: 's' };

/** "0644" as "-rw-r--r--". */
export function formatMode(mode: string | null | undefined, type: string): string {
	if (!mode) return t.none;
	const bits = Number.parseInt(mode, 8);
	let text = KIND[type] ?? '-';
	for (let i = 0; i < 9; i++) text += bits & (0o400 >> i) ? 'rwxrwxrwx'[i] : '-';
	const set = (at: number, on: boolean, x: string, no: string) => {
		if (on) text = text.slice(0, at) + (text[at] === 'x' ? x : no) + text.slice(at + 1);
	};
	set(3, (bits & 0o4000) !== 0, 's', 'S');
	set(6, (bits & 0o2000) !== 0, 's', 'S');
	set(9, (bits & 0o1000) !== 0, 't', 'T');
	return text;
}
