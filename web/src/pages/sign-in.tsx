import { useEffect, useRef, useState, type FormEvent } from 'react';
import { ApiError } from '@/api/client';
import { useSignIn } from '@/api/queries';
import { Problem } from '@/components/problem';
import { Button, Card, Input } from '@/components/ui';
import { useTitle } from '@/lib/hooks';
import { navigate } from '@/lib/router';
import { t } from '@/texts';

function refused(error: unknown): boolean {
	return error instanceof ApiError && error.status === 401;
}

export function SignIn({ ended, signedIn }: { ended: boolean; signedIn: boolean }) {
	useTitle(t.signIn.title);
	const signIn = useSignIn();
	const [token, setToken] = useState('');
	const [byLink, setByLink] = useState(false);
	const tried = useRef(false);
	const input = useRef<HTMLInputElement>(null);

	const { mutate } = signIn;
	useEffect(() => {
		const code = location.pathname === '/sign-in' ? location.hash.slice(1) : '';
		if (tried.current) return;
		if (!code) {
			// Somebody who is signed in already has no business here; with a code, the new session replaces the old one first.
			if (signedIn && location.pathname === '/sign-in') navigate('/', { replace: true });
			return;
		}
		tried.current = true;
		setByLink(true);
		// The code is worth nothing any more, and has no place in the history.
		history.replaceState(null, '', '/sign-in');
		mutate({ code }, { onSuccess: () => navigate('/', { replace: true }) });
	}, [mutate, signedIn]);

	const submit = (e: FormEvent) => {
		e.preventDefault();
		setByLink(false);
		mutate(
			{ token: token.trim() },
			{
				onSuccess: () => location.pathname === '/sign-in' && navigate('/', { replace: true }),
				onError: () => input.current?.focus(),
			},
		);
	};
	return (
		<main className="grid min-h-dvh place-items-center p-4">
			<Card className="w-full max-w-sm p-6">
				<img src="/favicon.svg" alt="" className="mb-4 size-11" />
				<h1 className="text-xl font-semibold tracking-tight">{t.app}</h1>
				<p className="mb-5 text-muted">{t.signIn.lead}</p>
				{ended && (
					<p role="status" className="mb-4 rounded-lg bg-warn-soft p-3 text-sm text-warn">
						{t.signIn.ended}
					</p>
				)}
				<form onSubmit={submit} className="space-y-3">
					<label htmlFor="token" className="block text-sm font-medium">
						{t.signIn.token}
					</label>
					<Input
						id="token"
						ref={input}
						type="password"
						autoComplete="current-password"
						aria-describedby="token-hint"
						aria-invalid={refused(signIn.error) && !byLink}
						value={token}
						onChange={(e) => setToken(e.target.value)}
						required
					/>
					<p id="token-hint" className="text-sm text-muted">
						{t.signIn.hint}
					</p>
					{refused(signIn.error) && (
						<p role="alert" className="rounded-lg bg-danger-soft p-3 text-sm text-danger">
							{byLink ? t.signIn.badLink : t.signIn.badToken}
						</p>
					)}
					{signIn.isError && !refused(signIn.error) && <Problem error={signIn.error} />}
					<Button type="submit" look="primary" className="w-full" busy={signIn.isPending}>
						{signIn.isPending ? t.signIn.working : t.signIn.submit}
					</Button>
				</form>
			</Card>
		</main>
	);
}
