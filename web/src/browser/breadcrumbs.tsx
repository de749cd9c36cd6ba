import { ChevronRight, House } from 'lucide-react';
import { browserUrl, segments, type BrowserAddress } from '@/lib/paths';
import { Link } from '@/lib/router';
import { t } from '@/texts';

export function Breadcrumbs({ address }: { address: BrowserAddress }) {
	const names = segments(address.path);
	return (
		<nav aria-label={t.browser.breadcrumbs} className="min-w-0 flex-1">
			<ol className="flex flex-wrap items-center text-sm">
				<li>
					<Link
						href={browserUrl({ ...address, path: '/' })}
						aria-label={t.browser.home}
						title={t.browser.home}
						className="grid size-11 place-items-center rounded-lg hover:bg-raised md:size-9"
						{...(names.length === 0 && { 'aria-current': 'page' })}
					>
						<House className="size-[18px]" aria-hidden />
					</Link>
				</li>
				{names.map((name, i) => (
					<li key={i} className="flex min-w-0 items-center">
						<ChevronRight className="size-4 shrink-0 text-muted" aria-hidden />
						<Link
							href={browserUrl({ ...address, path: '/' + names.slice(0, i + 1).join('/') })}
							title={name}
							className="inline-flex min-h-11 min-w-6 items-center rounded-lg px-1.5 hover:bg-raised aria-[current]:font-semibold md:min-h-9"
							{...(i === names.length - 1 && { 'aria-current': 'page' })}
						>
							<span className="max-w-[14rem] truncate">{name}</span>
						</Link>
					</li>
				))}
			</ol>
		</nav>
	);
}
