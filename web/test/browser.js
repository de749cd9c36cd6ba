/* 2: the file browser. */
import { base, button, look, mount, row, until } from './common.js';
import { is, ok, test } from './tap.js';

const FILES = 'backup-files01-1699000000';
const WEB = 'backup-web01-1700172800';

/** Opens a row as one does there: by a double-click, or by a tap. */
export const enter = (page, name, narrow) => (narrow ? row(page, name).tap() : row(page, name).dblclick());

async function sortBy(page, column, narrow) {
	if (!narrow) return page.getByRole('columnheader', { name: column }).getByRole('button').click();
	await button(page, 'Sort').click();
	await page.getByRole('menuitemcheckbox', { name: column }).click();
	await page.keyboard.press('Escape');
}

async function moving({ page, name, narrow }, web) {
	const grid = page.getByRole('grid');
	await test(`${name}: 2: keys: open, up, select, help, filter`, async () => {
		await page.goto(`${base}/restore/${web}/2/`);
		await row(page, 'home').waitFor();
		await grid.focus();
		for (const key of ['ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
		await row(page, 'anna').waitFor();
		ok(page.url().endsWith('/2/home'), page.url());
		// The keys go on in each folder, from what was open before.
		await page.keyboard.press('Enter');
		await row(page, 'documents').waitFor();
		await page.keyboard.press('Backspace');
		await row(page, 'ben').waitFor();
		await page.keyboard.press('Backspace');
		await row(page, 'lost+found').waitFor();
		const home = await row(page, 'home').getAttribute('id');
		await until(page, (id) => document.activeElement.getAttribute('aria-activedescendant') === id, home);
		for (const key of ['Home', ' ', 'Shift+ArrowDown']) await page.keyboard.press(key);
		await page.getByText('2 selected').waitFor();
		await page.keyboard.press('Control+a');
		await page.getByText('8 selected').waitFor();
		await look(page, `${name}-selected`);
		await page.keyboard.press('Escape');
		await page.keyboard.press('End');
		is(await grid.getAttribute('aria-activedescendant'), 'row-7', 'the last one:');
		await page.keyboard.press('?');
		await page.getByRole('dialog', { name: 'Keys' }).waitFor();
		await look(page, `${name}-keys`);
		await page.keyboard.press('Escape');
		await grid.focus();
		await page.keyboard.press('/');
		await page.keyboard.type('HO');
		await page.locator('mark').waitFor();
		is(await page.locator('mark').textContent(), 'ho', 'marked:');
		is(await page.getByRole('row').count(), 2, 'rows with the head:');
		ok(page.url().includes('q=HO'), page.url());
		await page.getByLabel('Filter this folder').fill('nothing like it');
		await page.getByText('Nothing here matches').waitFor();
		await look(page, `${name}-no-match`);
	});
	await test(`${name}: 2: a search in all folders beneath`, async () => {
		await page.goto(`${base}/restore/${web}/2/`);
		await page.getByLabel('Filter this folder').fill('report');
		await button(page, 'Search all folders beneath').click();
		await row(page, 'report.txt').getByText('/home/anna/documents').waitFor();
		await page.getByLabel('Files').getByText('1 found in all folders beneath').waitFor();
		is(await page.locator('mark').textContent(), 'report', 'marked:');
		await look(page, `${name}-found`);
		await enter(page, 'report.txt', narrow);
		await page.getByText('Quarterly report').waitFor();
		await look(page, `${name}-found-details`);
		await page.getByRole('link', { name: 'Open its folder' }).click();
		await until(page, () => location.pathname.endsWith('/2/home/anna/documents'));
		await page.getByText('Quarterly report').waitFor();
		await page.goto(`${base}/restore/${web}/2/?q=no+such+file&in=beneath`);
		await page.getByText('Nothing beneath matches “no such file”').waitFor();
		await page.getByLabel('Filter this folder').fill('anna');
		await row(page, 'anna').getByText('/home').waitFor();
		await enter(page, 'anna', narrow);
		await until(page, () => location.pathname.endsWith('/2/home/anna') && location.search === '');
		await page.goto(`${base}/restore/${web}/2/home?q=*&in=beneath&sort=size&order=desc`);
		await row(page, 'photo-copy.raw').waitFor();
		const first = await page.locator('#row-0').textContent();
		ok(/^(anna|ben)\/home(?!\/)/.test(first), `folders first, not the folder itself: ${first}`);
		await button(page, 'All folders beneath').click();
		await row(page, 'documents').waitFor({ state: 'detached' });
		is(await page.getByRole('row').count(), 3, 'rows with the head:');
	});
	await test(`${name}: 2: breadcrumbs, up, home, back`, async () => {
		await page.goto(`${base}/restore/${web}/2/home/anna/documents`);
		await row(page, 'report.txt').waitFor();
		await page.getByRole('navigation', { name: 'Path' }).getByRole('link', { name: 'anna' }).click();
		await row(page, 'documents').waitFor();
		await button(page, 'Up one folder').click();
		await row(page, 'ben').waitFor();
		await page.getByRole('link', { name: 'Top of the volume' }).click();
		await row(page, 'boot').waitFor();
		is(await button(page, 'Up one folder').isDisabled(), true, 'nothing above:');
		await page.goBack();
		await row(page, 'ben').waitFor();
		await enter(page, 'ben', narrow);
		await row(page, 'photo.raw').waitFor();
	});
	await test(`${name}: 2: selecting by ${narrow ? 'checkboxes' : 'checkboxes, Ctrl and Shift'}`, async () => {
		await page.goto(`${base}/restore/${web}/2/`);
		await row(page, 'boot').getByRole('checkbox').click();
		await row(page, 'home').getByRole('checkbox').click();
		await page.getByText('2 selected').waitFor();
		await row(page, 'home').getByRole('checkbox').click();
		await page.getByText('1 selected').waitFor();
		if (!narrow) {
			await row(page, 'home').click({ modifiers: ['Control'] });
			await row(page, 'tmp').click({ modifiers: ['Shift'] });
			await page.getByText('4 selected').waitFor();
		}
		await page.getByRole('checkbox', { name: 'Select all' }).click();
		await page.getByText('8 selected').waitFor();
		await button(page, 'Clear the selection').click();
		await page.getByText('selected').waitFor({ state: 'detached' });
	});
}

async function lists({ page, name, narrow }, files) {
	await test(`${name}: 2: sorting by each column, kept in the address`, async () => {
		await page.goto(`${base}/restore/${files}/0/media`);
		await row(page, 'huge.bin').waitFor();
		const order = () => page.locator('[id^=row-]').evaluateAll((rows) => rows.map((r) => r.textContent));
		if (!narrow) {
			await button(page, 'Columns').click();
			for (const c of ['Mode', 'Owner']) await page.getByRole('menuitemcheckbox', { name: c }).click();
			await page.keyboard.press('Escape');
			await look(page, `${name}-columns`);
		}
		for (const column of ['Size', 'Modified', 'Mode', 'Owner']) {
			await sortBy(page, column, narrow);
			await until(page, (c) => location.search.includes(`sort=${c}`), column.toLowerCase());
			await row(page, 'huge.bin').waitFor();
			const up = await order();
			await sortBy(page, column, narrow);
			await until(page, () => location.search.includes('order=desc'));
			await row(page, 'huge.bin').waitFor();
			const down = await order();
			ok(up.length > 8 && up.length === down.length, `${up.length} and ${down.length} rows`);
		}
		await page.goto(`${base}/restore/${files}/0/media?sort=size&order=desc`);
		const first = page.locator('#row-0').filter({ hasText: 'huge.bin' });
		await first.waitFor();
		await page.reload();
		await first.waitFor();
		await page.evaluate(() => localStorage.removeItem('columns'));
	});
	await test(`${name}: 2: what is broken is shown with its reason`, async () => {
		await page.goto(`${base}/restore/${files}/0/damaged`);
		await row(page, 'bad-inode.txt').getByText('This file is damaged in the backup').waitFor();
		await look(page, `${name}-damaged`);
		await enter(page, 'bad-inode.txt', narrow);
		await page.getByText('inode 14 is deleted, yet a name leads to it').waitFor();
		await look(page, `${name}-damaged-details`);
		await page.goto(`${base}/restore/${files}/0/damaged?file=bad-blocks.dat`);
		await page.getByText('which cannot be its own').waitFor();
	});
	await test(`${name}: 2: an empty folder, a dangling link, odd names`, async () => {
		await page.goto(`${base}/restore/${files}/0/empty`);
		await page.getByText('This folder is empty').waitFor();
		await look(page, `${name}-empty`);
		await page.keyboard.press('Backspace');
		await row(page, 'damaged').waitFor();
		await page.goto(`${base}/restore/${files}/0/media?file=dangling`);
		await page.getByText('/nowhere/at/all').first().waitFor();
		await page.goto(`${base}/restore/${files}/0/media`);
		await enter(page, '100% odd #name? & more;.txt', narrow);
		await page.getByText('The file is empty.').waitFor();
		await page.reload();
		await page.getByText('The file is empty.').waitFor();
		await look(page, `${name}-names`);
		await page.goto(`${base}/restore/${files}/0/media?q=latin`);
		await row(page, 'latin-\\xfc.txt').waitFor();
	});
	await test(`${name}: 2: eighty folders deep, by its address`, async () => {
		await page.goto(`${base}/restore/${files}/0/deep/${'level/'.repeat(79)}level?file=bottom.txt`);
		await page.getByText('at the bottom').waitFor();
		await page.keyboard.press('Escape');
		await page.goto(page.url().split('?')[0]);
		await row(page, 'bottom.txt').waitFor();
		await look(page, `${name}-deep`);
		await page.getByRole('button', { name: /folders between/ }).click();
		await look(page, `${name}-deep-menu`);
		await page.getByRole('menuitem', { name: 'deep' }).click();
		await until(page, () => location.pathname.endsWith('/deep'));
	});
	await test(`${name}: 2: a folder that is not there`, async () => {
		await page.goto(`${base}/restore/${files}/0/no/such/folder`);
		await page.getByText('This is not there').waitFor();
		await look(page, `${name}-not-there`);
	});
}

async function previews({ page, name, problems }, files) {
	const show = (file) => page.goto(`${base}/restore/${files}/0/media?file=${file}`);
	await test(`${name}: 2: previews of text, picture, sound and video, by range requests`, async () => {
		await show('hello.txt');
		await page.getByText('Hello preview').waitFor();
		await show('dot.png');
		await until(page, () => document.querySelector('img[alt="dot.png"]')?.naturalWidth === 1);
		await show('silence.wav');
		await until(page, () => document.querySelector('audio')?.duration > 0.9);
		const ranged = page.waitForRequest(
			(r) => r.url().includes('/download?') && r.url().includes('clip.webm') && 'range' in r.headers(),
		);
		await show('clip.webm');
		await ranged;
		await until(page, () => document.querySelector('video')?.videoWidth === 1);
		await page.evaluate(() => document.querySelector('video').play());
		await until(page, () => document.querySelector('video').currentTime > 0.2);
		await look(page, `${name}-video`);
	});
	await test(`${name}: 2: a PDF is shown by the browser's own viewer`, async () => {
		const answer = page.waitForResponse((r) => r.url().includes('/download?') && r.url().includes('letter.pdf'));
		await show('letter.pdf');
		const headers = (await answer).headers();
		is(headers['content-type'], 'application/pdf', 'type:');
		ok(headers['content-disposition'].startsWith('inline'), headers['content-disposition']);
		await page.locator('iframe[title="letter.pdf"]').waitFor();
		const viewer = () => page.frames().some((f) => f.url().startsWith('chrome-extension:'));
		for (let i = 0; i < 100 && !viewer(); i++) await page.waitForTimeout(100);
		ok(viewer(), 'the viewer runs');
		await page.waitForTimeout(1000);
		await look(page, `${name}-pdf`);
	});
	await test(`${name}: 2: nothing of a file is run`, async () => {
		problems.splice(0);
		for (const file of ['evil.html', 'evil.svg']) {
			await show(file);
			await page.getByText('<script>').waitFor();
			ok(!(await page.title()).startsWith('run'), 'it ran');
		}
		const url = `${base}/api/v1/restore/${files}/download?path=/media/evil.html&disposition=inline`;
		const headers = (await page.goto(url)).headers();
		ok(headers['content-type'].startsWith('text/plain'), 'as text');
		ok(headers['content-security-policy'].startsWith('sandbox'), 'in a sandbox');
		is(await page.title(), '', 'title:');
		is(problems, []);
	});
	await test(`${name}: 2: details: metadata, link target, extended attributes`, async () => {
		const web = await mount(WEB);
		await page.goto(`${base}/restore/${web}/2/home/ben?file=shared`);
		await page.getByText('../anna/documents').first().waitFor();
		await page.getByRole('link', { name: 'Open the folder it leads to' }).click();
		await row(page, 'report.txt').waitFor();
		ok(page.url().endsWith('/2/home/ben/shared'), page.url());
		await page.goto(`${base}/restore/${web}/2/home/ben?file=photo.raw`);
		await page.getByText('Hard links').waitFor();
		for (const fact of ['Inode', 'Mode', 'Owner', 'Modified', 'On disk']) await page.getByText(fact).first().waitFor();
	});
}

export async function browser(variant) {
	const web = await mount(WEB);
	const files = await mount(FILES);
	await moving(variant, web);
	await lists(variant, files);
	variant.problems.splice(0);
	await previews(variant, files);
}
