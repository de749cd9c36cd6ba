/* Every page, and the way from the sign-in to a file's details. */
import { base, button, look, row, signIn } from './common.js';
import { is, ok, test } from './tap.js';

export async function pages({ page, name, scheme }) {
	await test(`${name}: sign-in`, async () => {
		await page.goto(`${base}/`);
		await page.getByLabel('Administrator’s token').waitFor();
		is(await page.evaluate(() => document.documentElement.dataset.theme), scheme, 'theme:');
		await look(page, `${name}-sign-in`);
		await signIn(page);
	});
	await test(`${name}: overview`, async () => {
		await page
			.getByRole('link', { name: /winsrv01/ })
			.first()
			.waitFor();
		await look(page, `${name}-overview`);
	});
	await test(`${name}: 1: the newest point is chosen; mount; the system's volume is chosen; files`, async () => {
		await page.goto(`${base}/restore?vm=ctx-web01`);
		await page.getByText('newest').waitFor();
		is(await page.getByRole('radio', { name: /16 Nov 2023/ }).isChecked(), true, 'newest:');
		is(await page.getByText('Incremental').count(), 2, 'marked as incremental:');
		await look(page, `${name}-restore`);
		await button(page, 'Mount').click();
		const volumes = page.getByTestId('volumes');
		await volumes.waitFor();
		is(await volumes.getByRole('radio', { name: /root/ }).isChecked(), true, 'chosen:');
		await look(page, `${name}-volumes`);
		await page.reload();
		await button(page, 'Open the files').click();
		await row(page, 'home').waitFor();
		ok(/\/restore\/[0-9a-f-]{36}\/2$/.test(page.url()), page.url());
		await look(page, `${name}-files`);
	});
	await test(`${name}: 1: a file's details, by its address`, async () => {
		await page.goto(`${page.url()}/home/anna/documents?file=report.txt`);
		await page.getByText('Revenue is up. Costs are down.').waitFor();
		await look(page, `${name}-details`);
	});
	for (const [path, text] of [
		['/vms', 'web01'],
		['/vms/ctx-web01', 'needs backup-web01-1700000000'],
		['/backups', 'backup-winsrv01-1700003600'],
		['/repositories', 'Scan'],
		['/restore', 'Unmount'],
	])
		await test(`${name}: ${path}`, async () => {
			await page.goto(base + path);
			await page.getByText(text).first().waitFor();
			await look(page, `${name}${path.replaceAll('/', '-')}-list`);
		});
}
