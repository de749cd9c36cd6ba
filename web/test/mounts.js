/* 4 and 8: active mounts, and what is said when something cannot be. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { api, base, button, look, mount, row, stopped, unmountAll } from './common.js';
import { is, ok, test } from './tap.js';
import { enter } from './browser.js';

const WEB = 'backup-web01-1700172800';

async function ended({ page, name, narrow }) {
	await test(`${name}: 4: a mount that has ended is made again in place, the path kept`, async () => {
		const web = await mount(WEB);
		await page.goto(`${base}/restore/${web}/2/home/anna?sort=size`);
		await row(page, 'documents').waitFor();
		// It asks for the mounts every ten seconds, and would notice before the click.
		const held = [];
		await page.route('**/restore/mounts*', (route) => held.push(route));
		await api(`/restore/${web}`, 'DELETE');
		await enter(page, 'documents', narrow);
		await page.getByRole('heading', { name: 'This mount has expired' }).waitFor();
		await page.unroute('**/restore/mounts*');
		for (const route of held) await route.continue();
		await look(page, `${name}-expired`);
		await button(page, 'Mount again').click();
		await row(page, 'report.txt').waitFor();
		ok(page.url().includes('/2/home/anna/documents?sort=size') && !page.url().includes(web), page.url());
	});
	await test(`${name}: 4: … which is noticed without a click`, async () => {
		const web = await mount(WEB);
		await api(`/restore/${web}`, 'DELETE');
		await page.getByRole('heading', { name: 'This mount has expired' }).waitFor({ timeout: 30000 });
	});
	await test(`${name}: 4: mounts are shown with a countdown, refreshed without reload, and closed`, async () => {
		await page.goto(`${base}/restore`);
		await page
			.getByText('Nothing is mounted')
			.or(button(page, /^Unmount/).first())
			.waitFor();
		await mount('backup-winsrv01-1700003600');
		const unmount = button(page, 'Unmount winsrv01, disk 0');
		await unmount.waitFor({ timeout: 30000 });
		const left = page
			.getByRole('listitem')
			.filter({ has: unmount })
			.getByText(/ left$/);
		const before = await left.textContent();
		await page
			.getByText(/^ntfs · /)
			.first()
			.waitFor();
		for (let i = 0; i < 100 && (await left.textContent()) === before; i++) await page.waitForTimeout(100);
		ok((await left.textContent()) !== before, 'it counts down');
		await unmount.click();
		await unmount.waitFor({ state: 'detached' });
	});
}

async function refusals({ page, name, problems }) {
	await test(`${name}: 8: 409: a disk that is mounted already is offered`, async () => {
		await mount(WEB);
		await page.goto(`${base}/restore?vm=ctx-web01`);
		await button(page, 'Mount').click();
		await page.getByText('This disk is mounted already').waitFor();
		await look(page, `${name}-409`);
		await page.getByRole('link', { name: 'Open that mount' }).click();
		await row(page, 'etc').waitFor();
	});
	await test(`${name}: 8: 503: no slot: the list of mounts to close is offered`, async () => {
		for (const point of ['1700003600', '1700090000', '1700176400'])
			for (const disk of [0, 1])
				await api('/restore/mount', 'POST', { backup_id: `backup-winsrv01-${point}`, disk_index: disk });
		for (const point of ['1700000000', '1700086400'])
			await api('/restore/mount', 'POST', { backup_id: `backup-web01-${point}` });
		is((await api('/restore/resources')).available_slots, 0, 'slots:');
		await page.goto(`${base}/restore?vm=ctx-files01`);
		await button(page, 'Mount').click();
		await page.getByText('No free slot').waitFor();
		await look(page, `${name}-503`);
		await page.getByRole('link', { name: 'Show the mounts' }).click();
		await button(page, /^Unmount winsrv01/)
			.first()
			.click();
		await button(page, 'Try again').click();
		await row(page, 'media').waitFor();
	});
	await unmountAll();
	await test(`${name}: 8: 404: a backup that is gone; 422: a damaged one`, async () => {
		const { id } = await api('/repositories', 'POST', {
			name: 'gone',
			type: 'local',
			location: process.env.EXTRA_REPOSITORY,
		});
		await api(`/repositories/${id}/scan`, 'POST');
		await page.goto(`${base}/restore?vm=ctx-cut01`);
		await page.getByText('newest').waitFor();
		const whole = readFileSync(process.env.EXTRA_IMAGE);
		truncateSync(process.env.EXTRA_IMAGE, 1000);
		await button(page, 'Mount').click();
		await page.getByText(/image (cannot be read|is damaged)/).waitFor();
		await look(page, `${name}-422`);
		writeFileSync(process.env.EXTRA_IMAGE, whole);
		await api(`/repositories/${id}?backups=forget`, 'DELETE');
		await button(page, 'Try again').click();
		await page.getByText('This backup is gone').waitFor();
		await look(page, `${name}-404`);
		await page.goto(`${base}/restore/00000000-0000-4000-8000-000000000000/1/etc`);
		await page.getByText('the hub no longer knows what it showed').waitFor();
		await look(page, `${name}-unknown-mount`);
	});
	problems.splice(0);
}

async function network({ page, name, problems, narrow }) {
	await test(`${name}: 8: the network lost and found`, async () => {
		const lost = page.getByText('The hub cannot be reached. Trying again');
		await page.goto(`${base}/vms`);
		await page.getByText('web01').first().waitFor();
		await page.context().setOffline(true);
		try {
			await page.getByRole('link', { name: 'Backups' }).click();
			await lost.waitFor();
			await look(page, `${name}-offline`);
		} finally {
			await page.context().setOffline(false);
		}
		await page.getByText('backup-web01-1700000000').first().waitFor();
		await lost.waitFor({ state: 'detached' });
	});
	await test(`${name}: 8: a listing that takes long shows that it is coming`, async () => {
		const web = await mount(WEB);
		await page.goto(`${base}/restore/${web}/2/`);
		await row(page, 'usr').waitFor();
		await stopped(async () => {
			await enter(page, 'usr', narrow);
			await page.getByRole('gridcell', { name: 'Loading…' }).first().waitFor();
			await look(page, `${name}-loading`);
		});
		await row(page, 'share').waitFor();
	});
	problems.splice(0);
}

export async function mounts(variant) {
	await ended(variant);
	variant.problems.splice(0);
	await refusals(variant);
	await network(variant);
}
