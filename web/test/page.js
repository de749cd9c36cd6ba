/* The page in a real browser, on a real hub: HUB_URL, HUB_TOKEN, HUB_PID, EXTRA_REPOSITORY, EXTRA_IMAGE, SECRET_KEY_FILE, TLS_URL,
 * TLS_TOKEN; screenshots go to SHOTS. Numbers in the names are those of the points of "The web page" (docs/web.md). */
import { browser } from './browser.js';
import { base, signIn, unmountAll } from './common.js';
import { downloads } from './downloads.js';
import { large } from './large.js';
import { lists } from './lists.js';
import { mounts } from './mounts.js';
import { pages } from './pages.js';
import { locked } from './restore.js';
import { session } from './session.js';
import { browse, DESKTOP, done, is, NARROW, test } from './tap.js';
import { tls } from './tls.js';

const only = process.env.ONLY?.split(',');
const suites = { pages, locked, browser, downloads, mounts, lists, session };

for (const viewport of [DESKTOP, NARROW])
	for (const scheme of ['light', 'dark']) {
		const name = `${viewport.width}-${scheme}`;
		if (only && !only.includes(name) && only.some((o) => /\d/.test(o))) continue;
		await browse({ viewport, colorScheme: scheme, base }, async (page, problems) => {
			for (const [key, suite] of Object.entries(suites)) {
				if (only && !only.includes(key) && only.some((o) => o in suites)) continue;
				await unmountAll();
				if (key !== 'pages') await signIn(page);
				await suite({ page, problems, name, scheme, narrow: viewport === NARROW });
				await test(`${name}: ${key}: no console error, no request to another host`, () => is(problems, []));
				problems.splice(0);
			}
		});
	}
if (!only || only.includes('large'))
	await browse({ viewport: DESKTOP, colorScheme: 'light', base }, async (page, problems) => {
		await unmountAll();
		await signIn(page);
		await large({ page });
		await test('large: no console error, no request to another host', () => is(problems, []));
	});
if (!only || only.includes('tls')) await tls();
done();
