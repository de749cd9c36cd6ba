import { ChevronRight, Ellipsis, House } from 'lucide-react';
import type { ReactNode } from 'react';
import { DropdownMenu, IconButton, MenuItem } from '@/components/ui';
import { useMedia } from '@/lib/hooks';
import { formatName } from '@/lib/format';
import { browserUrl, segments, type BrowserAddress } from '@/lib/paths';
import { Link, navigate } from '@/lib/router';
import { t } from '@/texts';

function Crumb({ children }: { children: ReactNode }) {
	return (
		<li className="flex min-w-0 items-center">
			<ChevronRight className="size-4 shrink-0 text-muted" aria-hidden />
			{children}
		</li>
	);
}

/** The way to the folder; of a long one the middle is in a menu. */
export function Breadcrumbs({ address }: { address: BrowserAddress }) {
	const shown = useMedia('(max-width: 767px)') ? 2 : 5;
	const crumbs = segments(address.path).map((name, i, all) => ({ name, path: '/' + all.slice(0, i + 1).join('/') }));
	// A menu for a single one would save nothing.
	const first = crumbs.length > shown + 1 ? crumbs.length - shown : 0;
	const href = (path: string) => browserUrl({ ...address, path });
	return (
		<nav aria-label={t.browser.breadcrumbs} className="min-w-0 flex-1">
			<ol className="flex flex-wrap items-center text-sm">
				<li>
					<Link
						href={href('/')}
						aria-label={t.browser.home}
						title={t.browser.home}
						className="grid size-11 place-items-center rounded-lg hover:bg-raised md:size-9"
						{...(crumbs.length === 0 && { 'aria-current': 'page' })}
					>
						<House className="size-[18px]" aria-hidden />
					</Link>
				</li>
				{first > 0 && (
					<Crumb>
						<DropdownMenu trigger={<IconButton icon={Ellipsis} label={t.browser.foldersBetween(first)} />}>
							{crumbs.slice(0, first).map((c) => (
								<MenuItem key={c.path} onSelect={() => navigate(href(c.path))}>
									<span className="max-w-[18rem] truncate">{formatName(c.name)}</span>
								</MenuItem>
							))}
						</DropdownMenu>
					</Crumb>
				)}
				{crumbs.slice(first).map((c) => (
					<Crumb key={c.path}>
						<Link
							href={href(c.path)}
							title={formatName(c.name)}
							className="inline-flex min-h-11 min-w-6 items-center rounded-lg px-1.5 hover:bg-raised aria-[current]:font-semibold md:min-h-9"
							{...(c.path === crumbs.at(-1)?.path && { 'aria-current': 'page' })}
						>
							<span className="max-w-[9rem] truncate md:max-w-[14rem]">{formatName(c.name)}</span>
						</Link>
					</Crumb>
				))}
			</ol>
		</nav>
	);
}
