/* 5: VMs, backups, repositories. */
import { base, button, look } from './common.js';
import { is, ok, test } from './tap.js';

export async function lists({ page, name, problems, narrow }) {
	await test(`${name}: 5: search and filters of the backups, kept in the address; sorted by a column`, async () => {
		await page.goto(`${base}/backups`);
		await page.getByLabel('Search backups').fill('winsrv01');
		await page.getByLabel('Type', { exact: true }).selectOption('full');
		await page.getByText('backup-winsrv01-1700003600').first().waitFor();
		await page.getByText('backup-winsrv01-1700090000').first().waitFor({ state: 'detached' });
		ok(page.url().includes('q=winsrv01') && page.url().includes('type=full'), page.url());
		await page.getByLabel('Search backups').fill('nothing like it');
		await page.getByText('No backup matches').waitFor();
		await look(page, `${name}-backups-no-match`);
		if (narrow) return;
		await page.goto(`${base}/backups`);
		await button(page, 'Stored').click();
		await page.locator('th[aria-sort=ascending], th[aria-sort=descending]').filter({ hasText: 'Stored' }).waitFor();
	});
	await test(`${name}: 5: search of the VMs; a VM's chains: what needs what, with sizes`, async () => {
		await page.goto(`${base}/vms`);
		await page.getByLabel('Search virtual machines').fill('WEB');
		await page.getByText('big01').first().waitFor({ state: 'detached' });
		await page.getByRole('link', { name: 'web01', exact: true }).click();
		await page.getByText('stands alone').waitFor();
		await page.getByText('needs backup-web01-1700086400').waitFor();
		is(await page.getByText(/ stored$/).count(), 1, 'the chain’s size:');
	});
	await test(`${name}: 5: a repository: refused, added, scanned, what is orphaned, searched, removed`, async () => {
		await page.goto(`${base}/repositories`);
		await button(page, 'Add a repository').click();
		await page.getByLabel('Name').fill('second');
		await page.getByLabel('Folder on the hub’s machine').fill('/nonexistent-folder');
		await look(page, `${name}-add-repository`);
		await button(page, 'Add and scan').click();
		await page.getByText('The repository cannot be reached').waitFor();
		await page.getByLabel('Folder on the hub’s machine').fill(process.env.EXTRA_REPOSITORY);
		await button(page, 'Add and scan').click();
		await page.getByText(/^Found 1 restore point/).waitFor();
		await page
			.getByRole('heading', { name: /Orphaned|Skipped/ })
			.first()
			.waitFor();
		await look(page, `${name}-scan`);
		await page.getByLabel('Search repositories').fill('seco');
		await page.getByRole('heading', { name: 'demo', exact: true }).waitFor({ state: 'detached' });
		await button(page, 'Remove').click();
		await look(page, `${name}-remove-repository`);
		await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
		await page.getByText('No repository matches').waitFor();
		problems.splice(0);
	});
}
