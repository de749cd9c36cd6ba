import { useEffect } from 'react';
import { connected, sessionEnded } from '@/api/client';
import { queryClient, useSession } from '@/api/queries';
import { Problem } from '@/components/problem';
import { Shell } from '@/components/shell';
import { SkeletonRows } from '@/components/ui';
import { announce, announcement } from '@/lib/announce';
import { parseBrowserUrl } from '@/lib/paths';
import { usePathname } from '@/lib/router';
import { useStore } from '@/lib/store';
import { Backups } from '@/pages/backups';
import { BrowserPage } from '@/pages/browser';
import { Overview } from '@/pages/overview';
import { Repositories } from '@/pages/repositories';
import { Restore } from '@/pages/restore';
import { SignIn } from '@/pages/sign-in';
import { Vm } from '@/pages/vm';
import { Vms } from '@/pages/vms';
import { t } from '@/texts';

function Page() {
	const path = usePathname();
	const folder = parseBrowserUrl(path);
	if (folder) return <BrowserPage key={folder.mount} address={folder} />;
	if (path.startsWith('/restore')) return <Restore />;
	if (path.startsWith('/vms/')) return <Vm id={decodeURIComponent(path.slice('/vms/'.length))} />;
	if (path.startsWith('/vms')) return <Vms />;
	if (path.startsWith('/backups')) return <Backups />;
	if (path.startsWith('/repositories')) return <Repositories />;
	return <Overview />;
}

/** While the hub cannot be reached, it is asked again and again; what is shown stays, and is renewed afterwards. */
function useReconnect() {
	const up = useStore(connected);
	useEffect(() => {
		if (up) return;
		const timer = setInterval(() => {
			fetch('/api/v1/healthz', { cache: 'no-store' })
				.then((r) => {
					if (!r.ok) return;
					connected.set(true);
					announce(t.network.back);
					void queryClient.invalidateQueries();
				})
				.catch(() => undefined);
		}, 2000);
		return () => clearInterval(timer);
	}, [up]);
	return up;
}

export function App() {
	const path = usePathname();
	const session = useSession();
	const ended = useStore(sessionEnded);
	const spoken = useStore(announcement);
	const up = useReconnect();
	const link = path === '/sign-in';
	const signedIn = session.data?.signed_in === true && !ended;

	return (
		<>
			<div role="status" aria-live="polite" className="sr-only" data-testid="announcements">
				{spoken}
			</div>
			{!up && (
				<div
					role="alert"
					className="sticky top-0 z-50 bg-warn-soft px-4 py-2 text-center text-sm font-medium text-warn"
				>
					{t.network.lost}
				</div>
			)}
			{session.isPending ? (
				<SkeletonRows />
			) : session.isError ? (
				<Problem error={session.error} onRetry={() => void session.refetch()} />
			) : signedIn && !link ? (
				<Shell>
					<Page />
				</Shell>
			) : (
				<SignIn ended={ended} signedIn={signedIn} />
			)}
		</>
	);
}
