/* 3: downloads. */
import { readFileSync, statSync } from 'node:fs';
import { api, base, button, look, mount, row, slowly } from './common.js';
import { is, ok, test } from './tap.js';

const latest = (page) => page.getByTestId('download').last();
const MAGIC = { ZIP: '504b', 'tar.gz': '1f8b', 'tar.zst': '28b5' };

async function small({ page, name }, web) {
	await test(`${name}: 3: one file, said by the tray and the live region`, async () => {
		await page.goto(`${base}/restore/${web}/2/home/ben?file=photo.raw`);
		const [download] = await Promise.all([page.waitForEvent('download'), button(page, /^Download · 3/).click()]);
		is(download.suggestedFilename(), 'photo.raw');
		is(readFileSync(await download.path()).length, 3000000, 'bytes:');
		await latest(page).getByText('Done').waitFor();
		await page.getByTestId('announcements').getByText('photo.raw is downloaded').waitFor();
	});
	for (const [format, magic] of Object.entries(MAGIC))
		await test(`${name}: 3: a selection as ${format}`, async () => {
			await page.goto(`${base}/restore/${web}/2/var`);
			await row(page, 'log').getByRole('checkbox').click();
			await row(page, 'www').getByRole('checkbox').click();
			await button(page, 'Download').click();
			const item = page.getByRole('menuitem', { name: format });
			const [download] = await Promise.all([page.waitForEvent('download'), item.click()]);
			ok(download.suggestedFilename().endsWith(format.toLowerCase()), download.suggestedFilename());
			const bytes = readFileSync(await download.path());
			is(bytes.subarray(0, 2).toString('hex'), magic, 'begins with:');
			await latest(page)
				.getByText(/^Done · \d+ files/)
				.waitFor();
			if (format === 'ZIP') await look(page, `${name}-tray-done`);
		});
	await test(`${name}: 3: a folder`, async () => {
		await page.goto(`${base}/restore/${web}/2/home/anna`);
		await row(page, 'documents').waitFor();
		await button(page, 'Download this folder').click();
		const item = page.getByRole('menuitem', { name: 'ZIP' });
		const [download] = await Promise.all([page.waitForEvent('download'), item.click()]);
		is(download.suggestedFilename(), 'anna.zip');
		await latest(page).getByText(/^Done/).waitFor();
	});
}

async function damaged({ page, name }, files) {
	await test(`${name}: 3: at the end: what could not be read, each with its reason`, async () => {
		await page.goto(`${base}/restore/${files}/0/damaged`);
		await row(page, 'good.txt').waitFor();
		await button(page, 'Download this folder').click();
		const item = page.getByRole('menuitem', { name: 'ZIP' });
		const [download] = await Promise.all([page.waitForEvent('download'), item.click()]);
		ok(readFileSync(await download.path()).includes('RESTORE-ERRORS.txt'), 'the list is in the archive too');
		await latest(page).getByText('2 entries could not be read whole, 1 entry left out').waitFor();
		for (const text of ['/damaged/bad-blocks.dat', 'inode 14 is deleted', 'stores no devices, pipes or sockets'])
			await latest(page).getByText(text).waitFor();
		await look(page, `${name}-tray-errors`);
	});
	await test(`${name}: 3: a file that cannot be read fails with its reason, and can be tried again`, async () => {
		await page.goto(`${base}/restore/${files}/0/damaged`);
		await row(page, 'bad-blocks.dat').getByRole('checkbox').click();
		await button(page, 'Download').click();
		await latest(page).getByText('This file is damaged in the backup').waitFor();
		await look(page, `${name}-tray-failed`);
		await button(page, /^Try again.*bad-blocks/).click();
		await latest(page).getByText('This file is damaged in the backup').waitFor();
		await button(page, 'Remove bad-blocks.dat from the list').click();
	});
}

async function large({ page, name }, files) {
	const media = `${base}/restore/${files}/0/media`;
	await test(`${name}: 3: more than 1 GB is asked about, with its size, and can be refused`, async () => {
		await page.goto(`${media}?file=huge.bin`);
		await button(page, /^Download · 1/).click();
		await page.getByRole('dialog', { name: 'This is large' }).getByText('1.6 GB').waitFor();
		await look(page, `${name}-large`);
		await page.getByRole('dialog', { name: 'This is large' }).getByRole('button', { name: 'Cancel' }).click();
		await latest(page).getByText('Cancelled').waitFor();
	});
	await test(`${name}: 3: a file too large for the page: bytes, speed and time left in the tray; cancel`, async () => {
		await page.goto(media);
		await row(page, 'huge.bin').getByRole('checkbox').click();
		await button(page, 'Download').click();
		await slowly(async () => {
			const begun = page.waitForEvent('download');
			await page.getByRole('dialog').getByRole('button', { name: 'Download' }).click();
			await latest(page)
				.getByText(/^[1-9][\d.]* .B of 1\.6 GB · [\d.]+ .?B\/s · .+ left$/)
				.waitFor({ timeout: 60000 });
			await look(page, `${name}-tray-running`);
			await button(page, 'Cancel huge.bin').click();
			await latest(page).getByText('Cancelled').waitFor();
			ok(await (await begun).failure(), 'the browser’s transfer broke off, too');
		});
	});
	await test(`${name}: 3: … whole`, async () => {
		await page.goto(media);
		await row(page, 'large.bin').getByRole('checkbox').click();
		const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Download').click()]);
		is(download.suggestedFilename(), 'large.bin');
		is(statSync(await download.path()).size, 400 * 1024 * 1024, 'bytes:');
		await latest(page)
			.getByText(/^Done · 419 MB/)
			.waitFor();
		await download.delete();
	});
	await test(`${name}: 3: an archive: entries, bytes, speed and time left; cancel`, async () => {
		await page.goto(media);
		await row(page, 'huge.bin').waitFor();
		await button(page, 'Download this folder').click();
		await page.getByRole('menuitem', { name: 'ZIP' }).click();
		await page.getByRole('dialog').getByText('2.0 GB').waitFor();
		await slowly(async () => {
			await page.getByRole('dialog').getByRole('button', { name: 'Download' }).click();
			await latest(page)
				.getByText(/^\d+ of \d+ entries · [1-9][\d.]* .B of 2\.0 GB · [\d.]+ .?B\/s · .+ left$/)
				.waitFor({ timeout: 60000 });
			await button(page, 'Cancel media.zip').click();
			await latest(page).getByText('Cancelled').waitFor();
		});
	});
}

export async function downloads(variant) {
	const files = await mount('backup-files01-1699000000');
	await small(variant, await mount('backup-web01-1700172800'));
	await damaged(variant, files);
	variant.problems.splice(0);
	await large(variant, files);
	await test(`${variant.name}: 3: finished ones are cleared away`, async () => {
		await button(variant.page, 'Clear finished').click();
		await variant.page.getByTestId('download').first().waitFor({ state: 'detached' });
		const { restores_total } = await api('/restore/resources');
		ok(restores_total > 0, 'they count as restores');
	});
}
