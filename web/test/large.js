/* A folder of 100,000 entries: what its first rows wait for, what scrolling costs. How many milliseconds that is, `make bench`
 * says (web/bench/large.js). */
import { readFileSync } from 'node:fs';
import { base, button, mount, row, until } from './common.js';
import { is, ok, test } from './tap.js';

const ENTRIES = 100_000;
const FIRST_ROWS = 500;

/** Requests for the rest of a folder, held until they are let go. */
async function holdTheRest(page) {
	const rest = /\/files\?.*\bcursor=/;
	const held = [];
	await page.route(rest, (route) => held.push(route));
	return {
		count: () => held.length,
		release: async () => {
			await page.unroute(rest);
			await Promise.all(held.map((route) => route.continue()));
		},
	};
}

/** In the page: scrolls a folder from top to bottom; of each step, the rows that were made until those in view are there, and how many
 * the document has then. */
async function scrollThrough() {
	const STEPS = 120;
	const FRAMES = 600;
	const rows = '[id^=row-]';
	const scroller = document.querySelector('[data-testid=scroller]');
	const height = document.querySelector(rows).offsetHeight;
	const visible = Math.ceil(scroller.clientHeight / height);
	const isRow = (node) => node.nodeType === Node.ELEMENT_NODE && node.matches(rows);
	let made = 0;
	const observer = new MutationObserver((changes) => {
		made += changes.flatMap((change) => [...change.addedNodes]).filter(isRow).length;
	});
	observer.observe(scroller, { childList: true, subtree: true });
	const steps = [];
	for (let i = 1; i <= STEPS; i++) {
		made = 0;
		scroller.scrollTop = ((scroller.scrollHeight - scroller.clientHeight) * i) / STEPS;
		const middle = Math.floor((scroller.scrollTop + scroller.clientHeight / 2) / height);
		const there = () => document.getElementById(`row-${middle}`);
		for (let frame = 0; frame < FRAMES && !there(); frame++) await new Promise(requestAnimationFrame);
		if (!there()) throw new Error(`row ${middle} is never drawn`);
		steps.push({ made, there: document.querySelectorAll(rows).length });
	}
	observer.disconnect();
	return { steps, visible };
}

export async function large({ page }) {
	const big = await mount('backup-big01-1699000000');
	await test('2: 100,000 entries: the first rows wait for the first answer alone, and that is a short one', async () => {
		await page.goto(`${base}/restore/${big}/0/`);
		await row(page, 'big').waitFor();
		const rest = await holdTheRest(page);
		const [answer] = await Promise.all([
			page.waitForResponse((r) => r.url().includes('path=%2Fbig')),
			row(page, 'big').dblclick(),
		]);
		await row(page, 'file-000005.txt').waitFor();
		const { files, total_count: total } = await answer.json();
		is(files.length, FIRST_ROWS, 'entries of the first answer:');
		is(total, ENTRIES, 'of');
		await until(page, () => document.querySelector('[role=grid]').getAttribute('aria-rowcount') === '100001');
		ok(rest.count() <= 1, `${rest.count()} more requests`);
		await rest.release();
	});
	await test('2: … scrolled to the end: only what comes into view is made, nothing is asked for', async () => {
		await page.getByText('100,000 items', { exact: true }).waitFor({ timeout: 60000 });
		const asked = [];
		const note = (request) => asked.push(request.url());
		page.on('request', note);
		const { steps, visible } = await page.evaluate(scrollThrough);
		page.off('request', note);
		await row(page, 'file-099999.txt').waitFor();
		is(
			asked.filter((url) => url.includes('/files?')),
			[],
			'asked:',
		);
		const most = Math.max(...steps.map((s) => s.there));
		console.log(`# ${visible} rows are in view, ${most} at most in the document`);
		ok(visible >= 5 && most <= visible + 30, `${most} rows in the document, ${visible} in view`);
		const made = Math.max(...steps.map((s) => s.made));
		ok(made > 0 && made <= most, `${made} rows made in a step`);
	});
	await test('2: … filtered, the matches marked', async () => {
		await page.getByLabel('Filter this folder').fill('99990');
		await page.locator('mark').first().waitFor();
		await row(page, 'file-099990.txt').waitFor();
		is(await page.getByRole('row').count(), 2, 'rows with the head:');
		await button(page, 'Clear the filter').click();
	});
	await test('3: … all but one of them selected, and downloaded', async () => {
		await row(page, 'file-000000.txt').waitFor();
		await page.getByRole('checkbox', { name: 'Select all' }).click();
		await page.getByText('100,000 selected').waitFor();
		await row(page, 'file-000001.txt').getByRole('checkbox').click();
		await page.getByText('99,999 selected').waitFor();
		await button(page, 'Download').click();
		const item = page.getByRole('menuitem', { name: 'tar.zst' });
		const [download] = await Promise.all([page.waitForEvent('download', { timeout: 120000 }), item.click()]);
		const bytes = readFileSync(await download.path());
		is(bytes.subarray(0, 2).toString('hex'), '28b5', 'begins with:');
		await page
			.getByTestId('download')
			.last()
			.getByText(/^Done · 99,999 files/)
			.waitFor({ timeout: 60000 });
	});
}
