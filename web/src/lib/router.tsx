import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from 'react';

/* The page's addresses, by the browser's own history. */

const listeners = new Set<() => void>();
const notify = () => listeners.forEach((l) => l());

function subscribe(listener: () => void) {
	listeners.add(listener);
	window.addEventListener('popstate', listener);
	return () => {
		listeners.delete(listener);
		window.removeEventListener('popstate', listener);
	};
}

export function navigate(to: string, options: { replace?: boolean } = {}) {
	if (options.replace) history.replaceState(null, '', to);
	else history.pushState(null, '', to);
	notify();
}

export function usePathname(): string {
	return useSyncExternalStore(subscribe, () => location.pathname);
}

export function useSearch(): URLSearchParams {
	return new URLSearchParams(useSyncExternalStore(subscribe, () => location.search));
}

/** Changes query parameters of the address at hand; null takes one away. */
export function setSearch(changes: Record<string, string | null>, options: { replace?: boolean } = { replace: true }) {
	const search = new URLSearchParams(location.search);
	for (const [key, value] of Object.entries(changes)) {
		if (value === null) search.delete(key);
		else search.set(key, value);
	}
	const text = search.toString();
	if ('?' + text === location.search || (text === '' && location.search === '')) return;
	navigate(location.pathname + (text ? `?${text}` : ''), options);
}

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
	const follow = (e: MouseEvent<HTMLAnchorElement>) => {
		onClick?.(e);
		if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
		e.preventDefault();
		navigate(href);
		if (!href.includes('?')) window.scrollTo(0, 0);
	};
	return <a href={href} onClick={follow} {...rest} />;
}
