/* What all tests of the page use: the hub's API from outside, helpers, and the looks of a state. */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { is } from './tap.js';

export const base = process.env.HUB_URL;
export const token = process.env.HUB_TOKEN;
const shots = process.env.SHOTS ?? 'test-output';
mkdirSync(shots, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function api(path, method = 'GET', body = undefined) {
	const headers = { Authorization: `Bearer ${token}` };
	const response = await fetch(`${base}/api/v1${path}`, {
		method,
		headers,
		...(body && { body: JSON.stringify(body) }),
	});
	return response.json();
}

export const mount = async (backup, disk = 0) =>
	(await api('/restore/mount', 'POST', { backup_id: backup, disk_index: disk, reuse: true })).mount_id;

export async function unmountAll() {
	for (const m of (await api('/restore/mounts')).mounts) await api(`/restore/${m.mount_id}`, 'DELETE');
}

/** By a one-time link, as `make demo` prints it. */
export async function signIn(page) {
	const { url } = await api('/session/links', 'POST');
	await page.goto(base + url);
	await page.getByRole('heading', { name: 'Overview' }).waitFor();
}

/** What axe finds. It comes through the debugger: the page's own policy forbids foreign scripts. */
async function accessible(page) {
	await page.evaluate(axe);
	const found = await page.evaluate(async () => {
		const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
		const { violations } = await window.axe.run(document, { runOnly: rules });
		return violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(' ')).join(', ')}`);
	});
	is(found, [], 'axe:');
}

/** On a touch screen: what is lower than 44 pixels and not hidden for the eye, nor a word in a sentence. */
const tooSmall = () =>
	[...document.querySelectorAll('button, a, select, summary, input:not([type=checkbox]):not([type=radio]), label')]
		.filter((e) => e.checkVisibility() && !e.closest('.sr-only') && !e.matches('.sr-only, label[for]'))
		.filter((e) => e.getBoundingClientRect().height < 43.5 && e.getBoundingClientRect().width > 1)
		.map((e) => e.outerHTML.slice(0, 120));

/** A state: kept as a screenshot, and held against what all states must be. */
export async function look(page, name) {
	await page.waitForTimeout(300);
	await page.screenshot({ path: `${shots}/${name}.png` });
	await accessible(page);
	is(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'no sideways scrolling:');
	if (page.viewportSize().width < 768) is(await page.evaluate(tooSmall), [], 'lower than 44 pixels:');
}

/** Until fn, run in the page, says true. (Playwright's own waitForFunction needs eval, which the policy forbids.) */
export async function until(page, fn, argument) {
	for (let i = 0; i < 300; i++) {
		if (await page.evaluate(fn, argument)) return;
		await page.waitForTimeout(50);
	}
	throw new Error(`never came true: ${fn}`);
}

export const row = (page, name) => page.getByRole('row').filter({ hasText: name });
export const button = (page, name) => page.getByRole('button', { name, exact: typeof name === 'string' });

const workers = () =>
	readdirSync('/proc')
		.filter((pid) => /^\d+$/.test(pid))
		.filter((pid) => {
			try {
				const [, comm, parent] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
				return comm.startsWith('sendense-worke') && parent === process.env.HUB_PID;
			} catch {
				return false;
			}
		})
		.map(Number);

const signal = (pids, name) =>
	pids.forEach((pid) => {
		try {
			process.kill(pid, name);
		} catch {
			/* it has ended meanwhile */
		}
	});

/** The hub's workers stand still while fn runs. */
export async function stopped(fn) {
	const pids = workers();
	signal(pids, 'SIGSTOP');
	try {
		return await fn();
	} finally {
		signal(pids, 'SIGCONT');
	}
}

/** Lets the hub's workers run only now and then while fn runs: transfers become slow enough to be looked at. */
export async function slowly(fn) {
	const pids = workers();
	let on = true;
	const slices = (async () => {
		while (on) {
			signal(pids, 'SIGSTOP');
			await new Promise((resolve) => setTimeout(resolve, 150));
			signal(pids, 'SIGCONT');
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
	})();
	try {
		return await fn();
	} finally {
		on = false;
		await slices;
		signal(pids, 'SIGCONT');
	}
}
