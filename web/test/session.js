/* 6 and 7: signing in and out, the theme. */
import { api, base, button, look, token } from './common.js';
import { is, ok, test } from './tap.js';

const field = (page) => page.getByLabel('Administrator’s token');

export async function session({ page, name, problems, scheme }) {
	await test(`${name}: 7: the theme by switch, kept`, async () => {
		const other = scheme === 'dark' ? 'light' : 'dark';
		await page.goto(`${base}/`);
		await button(page, `Switch to the ${other} theme`).click();
		await page.reload();
		is(await page.evaluate(() => document.documentElement.dataset.theme), other, 'theme:');
		await button(page, `Switch to the ${scheme} theme`).click();
	});
	await test(`${name}: 6: a session that ends is said so, and the place is kept`, async () => {
		await page.goto(`${base}/vms`);
		await page.getByText('web01').first().waitFor();
		await page.evaluate(() => fetch('/api/v1/session', { method: 'DELETE', headers: { 'X-Sendense-CSRF': '1' } }));
		await page.getByRole('link', { name: 'Backups' }).click();
		await page.getByText('Your session has ended').waitFor();
		await look(page, `${name}-session-ended`);
		await field(page).fill('wrong');
		await button(page, 'Sign in').click();
		await page.getByText('That is not this hub’s token').waitFor();
		is(await field(page).evaluate((e) => e === document.activeElement), true, 'focus:');
		await look(page, `${name}-wrong-token`);
		await field(page).fill(token);
		await page.keyboard.press('Enter');
		await page.getByRole('heading', { name: 'Backups' }).waitFor();
		const cookie = (await page.context().cookies()).find((c) => c.name === 'sendense_session');
		is([cookie.httpOnly, cookie.sameSite, cookie.secure], [true, 'Strict', false]);
	});
	await test(`${name}: 6: a change without the page's header is refused`, async () => {
		const status = await page.evaluate(async () => (await fetch('/api/v1/session/links', { method: 'POST' })).status);
		is(status, 403);
	});
	await test(`${name}: 6: signing out`, async () => {
		await button(page, 'Sign out').click();
		await field(page).waitFor();
		is((await (await page.request.get(`${base}/api/v1/backups`)).json()).code, 'UNAUTHORIZED');
	});
	await test(`${name}: 6: a sign-in link works once`, async () => {
		const { url } = await api('/session/links', 'POST');
		await page.goto(base + url);
		await page.getByRole('heading', { name: 'Overview' }).waitFor();
		ok(!page.url().includes('#'), 'the code is out of the address');
		await page.context().clearCookies();
		await page.goto(`${base}/vms`);
		await page.goto(base + url);
		await page.getByText('This sign-in link no longer works').waitFor();
		await look(page, `${name}-used-link`);
	});
	problems.splice(0);
}
