/* TAP for the page's tests, and the browser they run in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

let n = 0;
let bad = 0;

export async function test(name, fn) {
	try {
		await fn();
		console.log(`ok ${++n} - ${name}`);
	} catch (e) {
		bad++;
		console.log(`not ok ${++n} - ${name}`);
		const lines = String(e?.stack ?? e).split('\n');
		console.log(
			lines
				.slice(0, 12)
				.map((l) => `# ${l}`)
				.join('\n'),
		);
	}
}

export function is(got, want, what = '') {
	const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
	if (g !== w) throw new Error(`${what} got ${g}, want ${w}`);
}

export function ok(value, what) {
	if (!value) throw new Error(what);
}

export function skip(name, why) {
	console.log(`ok ${++n} - ${name} # SKIP ${why}`);
}

export function done() {
	console.log(`1..${n}`);
	process.exitCode = bad > 0 ? 1 : 0;
}

const FLAGS =
	'--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

export const DESKTOP = { width: 1280, height: 800 };
export const NARROW = { width: 360, height: 740 };

/** A browser with a profile of its own. `problems` collects console errors and requests to other hosts. */
export async function browse({ viewport, colorScheme, base, ignoreHTTPSErrors = false }, use) {
	const profile = mkdtempSync(join(tmpdir(), 'sendense-chromium-'));
	const touch = viewport.width < 768;
	const context = await chromium.launchPersistentContext(profile, {
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
		headless: true,
		args: FLAGS.split(' '),
		viewport,
		colorScheme,
		hasTouch: touch,
		isMobile: touch,
		acceptDownloads: true,
		ignoreHTTPSErrors,
	});
	const problems = [];
	const page = context.pages()[0] ?? (await context.newPage());
	page.setDefaultTimeout(15000);
	page.on('console', (m) => m.type() === 'error' && problems.push(`${m.text()} ${m.location().url}`));
	page.on('pageerror', (e) => problems.push(`exception: ${e.message}`));
	page.on('request', (r) => {
		// The browser's own viewer of PDFs asks for its own parts.
		const own = [base, 'blob:', 'data:', 'chrome-extension:', 'chrome:'].some((start) => r.url().startsWith(start));
		if (!own) problems.push(`asked ${r.url()}`);
	});
	try {
		await use(page, problems);
	} finally {
		await context.close();
		rmSync(profile, { recursive: true, force: true });
	}
}
