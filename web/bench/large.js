/* What a large folder takes in the page, for tools/bench: HUB_URL, HUB_TOKEN. Of each line on standard input, {mount, path, folder,
 * entries}, a line of JSON: seconds from the double-click on the folder to its first rows on the screen (first_rows); and then, while
 * it is scrolled from top to bottom, from one frame to the next (median frame, longest frame_max), and of those the page's own part
 * (work). All is measured inside the page. */
import { createInterface } from 'node:readline';
import { base, signIn, until } from '../test/common.js';
import { browse, DESKTOP } from '../test/tap.js';

/** In the page: from a double-click on until rows are painted. `row-5` is not there before. */
function watchForRows() {
	document.addEventListener('dblclick', () => {
		const began = performance.now();
		const look = () => {
			if (document.getElementById('row-5')) setTimeout(() => (window.took = performance.now() - began));
			else requestAnimationFrame(look);
		};
		requestAnimationFrame(look);
	});
}

/** In the page: per step of the scrolling, the milliseconds between two frames, and of them those from the scrolling to the end of its
 * rendering. Where the machine lets others run, the first grows and the second does not. */
async function scrollThrough() {
	const STEPS = 120;
	const scroller = document.querySelector('[data-testid=scroller]');
	const frames = [];
	const work = [];
	const channel = new MessageChannel();
	const afterPaint = () =>
		new Promise((resolve) => {
			requestAnimationFrame(() => {
				channel.port1.onmessage = resolve;
				channel.port2.postMessage(0);
			});
		});
	let last = performance.now();
	for (let i = 0; i <= STEPS; i++) {
		const began = performance.now();
		scroller.scrollTop = (scroller.scrollHeight * i) / STEPS;
		scroller.getBoundingClientRect();
		scroller.dispatchEvent(new Event('scroll'));
		await afterPaint();
		const now = performance.now();
		work.push(now - began);
		frames.push(now - last);
		last = now;
	}
	return { frames, work };
}

const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[list.length >> 1] / 1000;

async function measure(page, { mount, path, folder, entries }) {
	await page.goto(`${base}/restore/${mount}/0${path}`);
	const there = page.getByTitle(folder, { exact: true });
	await there.waitFor();
	await page.evaluate(watchForRows);
	await there.dblclick();
	await until(page, () => window.took !== undefined);
	const firstRows = await page.evaluate(() => window.took / 1000);
	await page.getByText(`${entries.toLocaleString('en')} items`, { exact: true }).waitFor({ timeout: 60000 });
	const { frames, work } = await page.evaluate(scrollThrough);
	return {
		first_rows: firstRows,
		frame: median(frames),
		frame_max: Math.max(...frames) / 1000,
		work: median(work),
	};
}

await browse({ viewport: DESKTOP, colorScheme: 'light', base }, async (page, problems) => {
	await signIn(page);
	for await (const line of createInterface({ input: process.stdin })) {
		console.log(JSON.stringify(await measure(page, JSON.parse(line))));
		if (problems.length > 0) throw new Error(problems.join('\n'));
	}
});
