import { Database, HardDriveDownload, History, House, LogOut, Moon, Server, Sun, type LucideIcon } from 'lucide-react';
import { useEffect, useRef, type ReactNode } from 'react';
import { useSignOut } from '@/api/queries';
import { IconButton } from '@/components/ui';
import { Tray } from '@/downloads/tray';
import { announce } from '@/lib/announce';
import { cn } from '@/lib/cn';
import { Link, usePathname } from '@/lib/router';
import { useStore } from '@/lib/store';
import { switchTheme, theme } from '@/lib/theme';
import { t } from '@/texts';

const PAGES: { href: string; text: string; icon: LucideIcon }[] = [
	{ href: '/', text: t.nav.overview, icon: House },
	{ href: '/restore', text: t.nav.restore, icon: HardDriveDownload },
	{ href: '/vms', text: t.nav.vms, icon: Server },
	{ href: '/backups', text: t.nav.backups, icon: History },
	{ href: '/repositories', text: t.nav.repositories, icon: Database },
];

const isAt = (path: string, href: string) =>
	href === '/' ? path === '/' : path === href || path.startsWith(href + '/');

function Navigation() {
	const path = usePathname();
	return (
		<nav
			aria-label={t.mainNavigation}
			className="fixed inset-x-0 bottom-0 z-30 border-t bg-surface md:static md:border-0 md:bg-transparent"
		>
			<ul className="flex justify-around md:gap-1">
				{PAGES.map(({ href, text, icon: Icon }) => (
					<li key={href} className="min-w-0 flex-1 md:flex-none">
						<Link
							href={href}
							aria-current={isAt(path, href) ? 'page' : undefined}
							className={cn(
								'flex min-h-14 flex-col items-center justify-center gap-0.5 rounded-lg px-1 text-[11px] font-medium md:min-h-9 md:flex-row md:gap-2 md:px-3 md:text-sm',
								isAt(path, href) ? 'text-accent md:bg-accent-soft' : 'text-muted hover:text-ink md:hover:bg-raised',
							)}
						>
							<Icon className="size-5 md:size-4" aria-hidden />
							{text}
						</Link>
					</li>
				))}
			</ul>
		</nav>
	);
}

export function Shell({ children }: { children: ReactNode }) {
	const path = usePathname();
	const main = useRef<HTMLElement>(null);
	const first = useRef(true);
	const signOut = useSignOut();
	const dark = useStore(theme) === 'dark';
	// A new page takes the focus, as a loaded document would; folders of one mount are one page.
	const page = path.split('/').slice(0, 3).join('/');
	useEffect(() => {
		if (first.current) first.current = false;
		else main.current?.focus({ preventScroll: true });
	}, [page]);
	return (
		<div className="flex min-h-dvh flex-col pb-14 md:pb-0">
			<a
				href="#main"
				className="sr-only z-50 rounded-lg bg-surface px-4 py-2 focus:not-sr-only focus:fixed focus:left-2 focus:top-2"
			>
				{t.skip}
			</a>
			<header className="border-b bg-surface">
				<div className="mx-auto flex h-14 max-w-[1400px] items-center gap-6 px-4">
					<Link href="/" className="flex min-h-11 items-center gap-2 rounded-lg font-semibold tracking-tight">
						<img src="/favicon.svg" alt="" className="size-7" />
						{t.app}
					</Link>
					<Navigation />
					<div className="ml-auto flex items-center gap-1">
						<IconButton
							icon={dark ? Sun : Moon}
							label={dark ? t.theme.toLight : t.theme.toDark}
							onClick={switchTheme}
						/>
						<IconButton
							icon={LogOut}
							label={t.signIn.out}
							onClick={() => signOut.mutate(undefined, { onSuccess: () => announce(t.signIn.signedOut) })}
						/>
					</div>
				</div>
			</header>
			<main
				id="main"
				ref={main}
				tabIndex={-1}
				className="mx-auto flex w-full max-w-[1400px] flex-1 flex-col px-4 py-5 outline-none"
			>
				{children}
			</main>
			<Tray />
		</div>
	);
}
