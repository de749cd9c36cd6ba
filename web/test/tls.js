/* A hub with TLS, where mounts live three seconds: TLS_URL, TLS_TOKEN. */
import { button, row } from './common.js';
import { browse, DESKTOP, is, ok, skip, test } from './tap.js';

export async function tls() {
	const base = process.env.TLS_URL;
	if (!base) return skip('TLS: cookie and expiry', 'openssl is not installed');
	await browse({ viewport: DESKTOP, colorScheme: 'light', base, ignoreHTTPSErrors: true }, async (page) => {
		await test('TLS: the cookie is Secure', async () => {
			await page.goto(`${base}/restore?vm=ctx-web01`);
			await page.getByLabel('Administrator’s token').fill(process.env.TLS_TOKEN);
			await page.keyboard.press('Enter');
			await button(page, 'Mount').waitFor();
			const cookie = (await page.context().cookies()).find((c) => c.name === 'sendense_session');
			is([cookie.httpOnly, cookie.sameSite, cookie.secure], [true, 'Strict', true]);
		});
		await test('TLS: a mount that nobody used expires, is noticed, and made again with one click', async () => {
			await button(page, 'Mount').click();
			await button(page, 'Open the files').click();
			await row(page, 'home').dblclick();
			await row(page, 'anna').waitFor();
			const before = page.url();
			await page.getByRole('heading', { name: 'This mount has expired' }).waitFor({ timeout: 60000 });
			await button(page, 'Mount again').click();
			await row(page, 'anna').waitFor();
			ok(page.url().endsWith('/2/home') && page.url() !== before, page.url());
		});
	});
}
