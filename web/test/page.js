/* The page in a real browser, on a real hub: HUB_URL, HUB_TOKEN, HUB_PID, EXTRA_REPOSITORY, EXTRA_IMAGE, SECRET_KEY_FILE,
 * RECOVERY_KEY_FILE, TLS_URL,
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

const suites = { pages, locked, browser, downloads, mounts, lists, session };

/* ONLY="360-dark,downloads": of the variants, of their suites, or large, tls; nothing of a kind named: all of it. */
const only = process.env.ONLY?.split(',') ?? [];
const isSuite = (o) => o in suites;
const isVariant = (o) => /^\d/.test(o);
const chosen = (key, ofKind) => only.includes(key) || !only.some(ofKind);
const flows = only.length === 0 || only.some((o) => isSuite(o) || isVariant(o));
const also = (key) => only.length === 0 || only.includes(key);

for (const viewport of [DESKTOP, NARROW])
	for (const scheme of ['light', 'dark']) {
		const name = `${viewport.width}-${scheme}`;
		if (!flows || !chosen(name, isVariant)) continue;
		await browse({ viewport, colorScheme: scheme, base }, async (page, problems) => {
			for (const [key, suite] of Object.entries(suites)) {
				if (!chosen(key, isSuite)) continue;
				await unmountAll();
				if (key !== 'pages') await signIn(page);
				await suite({ page, problems, name, scheme, narrow: viewport === NARROW });
				await test(`${name}: ${key}: no console error, no request to another host`, () => is(problems, []));
				problems.splice(0);
			}
		});
	}
if (also('large'))
	await browse({ viewport: DESKTOP, colorScheme: 'light', base }, async (page, problems) => {
		await unmountAll();
		await signIn(page);
		await large({ page });
		await test('large: no console error, no request to another host', () => is(problems, []));
	});
if (also('tls')) await tls();
done();
