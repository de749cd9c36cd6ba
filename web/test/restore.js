/* 1: what locked volumes ask for. */
import { readFileSync } from 'node:fs';
import { api, base, button, look, mount, row } from './common.js';
import { is, ok, skip, test } from './tap.js';

const PASSPHRASE = 'correct horse 7391';

async function bitlocker({ page, name, problems }) {
	await test(`${name}: 1: BitLocker asks for its recovery key; a mistyped one is told at the field`, async () => {
		const key = readFileSync(process.env.RECOVERY_KEY_FILE, 'utf8').trim();
		await page.goto(`${base}/restore?vm=ctx-locked01`);
		await button(page, 'Mount').click();
		const field = page.getByLabel('Recovery key', { exact: true }).last();
		await field.waitFor();
		await field.fill(key.replace(/^\d{6}/, '000001'));
		await button(page, 'Unlock').click();
		await page.getByText(/group 1 of the recovery key/i).waitFor();
		await look(page, `${name}-recovery-key`);
		await field.fill(key);
		await button(page, 'Unlock').click();
		await button(page, 'Open the files').click();
		await row(page, 'letter.txt').waitFor();
		problems.splice(0);
	});
}

export async function locked(variant) {
	await bitlocker(variant);
	await luks(variant);
}

async function luks({ page, name, problems }) {
	if (!process.env.SECRET_KEY_FILE) return skip(`${name}: 1: locked volumes`, 'cryptsetup is not installed');
	const field = page.getByTestId('unlock').locator('input[type=password], input[type=text], input[type=file]');
	const unlock = () => button(page, 'Unlock').click();
	await test(`${name}: 1: a locked volume asks for its key; a wrong one is told, and the field keeps the focus`, async () => {
		await page.goto(`${base}/restore?vm=ctx-secret01`);
		await button(page, 'Mount').click();
		await page.getByRole('radio', { name: /vault/ }).check({ force: true });
		await page.getByRole('heading', { name: '“vault” is locked' }).waitFor();
		await look(page, `${name}-unlock`);
		await field.fill('wrong');
		await unlock();
		await page.getByText('That key does not open this volume').waitFor();
		is(await field.evaluate((e) => e === document.activeElement && e.getAttribute('aria-invalid')), 'true', 'focus:');
		await look(page, `${name}-unlock-wrong`);
		problems.splice(0);
	});
	await test(`${name}: 1: the passphrase opens it, and is left nowhere`, async () => {
		await field.fill(PASSPHRASE);
		await page.keyboard.press('Enter');
		await page.getByRole('radio', { name: /ledger/ }).waitFor();
		is(await page.getByRole('radio', { name: /ledger/ }).isChecked(), true, 'chosen:');
		const kept = await page.evaluate(
			() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]) + document.body.innerHTML,
		);
		ok(!kept.includes(PASSPHRASE), 'the passphrase is still in the page');
		await button(page, 'Open the files').click();
		await row(page, 'accounts').waitFor();
	});
	await test(`${name}: 1: once the hub has let the key go it is asked for again, the folder kept`, async () => {
		await page.goto(`${page.url()}/accounts`);
		await row(page, 'ledger.txt').waitFor();
		// The mount anew, under the address at hand: nobody has given this one a key.
		const id = /restore\/([^/]+)\//.exec(page.url())[1];
		await api(`/restore/${id}`, 'DELETE');
		const again = await mount('backup-secret01-1699000000');
		await page.goto(page.url().replace(id, again));
		await page.getByText('the volume is locked again').waitFor();
		await page.getByText('Key file', { exact: true }).first().click();
		await field.setInputFiles({ name: 'no.key', mimeType: 'application/octet-stream', buffer: Buffer.from('no') });
		await unlock();
		await page.getByText('That key does not open this volume').waitFor();
		await field.setInputFiles({
			name: 'vault.key',
			mimeType: 'application/octet-stream',
			buffer: readFileSync(process.env.SECRET_KEY_FILE),
		});
		await unlock();
		await row(page, 'ledger.txt').waitFor();
		ok(page.url().endsWith('/3/accounts'), page.url());
		problems.splice(0);
	});
}
