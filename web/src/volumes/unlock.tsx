import { Eye, EyeOff, KeyRound, ShieldAlert } from 'lucide-react';
import { useEffect, useId, useRef, useState, type FormEvent } from 'react';
import { ApiError, type Schemas } from '@/api/client';
import { useUnlock } from '@/api/queries';
import { Problem } from '@/components/problem';
import { Button, Field, IconButton, Input } from '@/components/ui';
import { announce } from '@/lib/announce';
import { cn } from '@/lib/cn';
import { explain, sentence } from '@/lib/errors';
import { t } from '@/texts';
import { encryptionName, isBitLocker, volumeTitle, type Volume } from './volumes';

type Method = 'passphrase' | 'recovery_key' | 'key_file';
type Key = Omit<Schemas['UnlockRequest'], 'volume'>;

const KEY_FILE_MAX = 64 * 1024;

const methodsOf = (v: Volume): Method[] =>
	isBitLocker(v) ? ['recovery_key', 'passphrase', 'key_file'] : ['passphrase', 'key_file'];

async function base64(file: File): Promise<string> {
	const bytes = new Uint8Array(await file.arrayBuffer());
	let text = '';
	for (const b of bytes) text += String.fromCharCode(b);
	bytes.fill(0);
	return btoa(text);
}

/** What the hub says of the key itself, to be shown at the field. */
function aboutKey(error: unknown): string | null {
	if (!(error instanceof ApiError) || !['KEY_WRONG', 'INVALID_ARGUMENT'].includes(error.code)) return null;
	const { title, advice, detail } = explain(error);
	return error.code === 'KEY_WRONG' ? `${title}. ${advice}` : detail || title;
}

/**
 * Asks for a locked volume's key. The key lives in its field only, never in React's state nor in the query cache: the
 * field is emptied once it was right, and gone with the form.
 */
export function UnlockForm({
	mount,
	volume,
	onUnlocked,
	autoFocus = false,
}: {
	mount: string;
	volume: Volume;
	onUnlocked: (mount: Schemas['Mount']) => void;
	autoFocus?: boolean;
}) {
	const methods = methodsOf(volume);
	const [method, setMethod] = useState<Method>(methods[0] ?? 'passphrase');
	const [shown, setShown] = useState(false);
	const [fileProblem, setFileProblem] = useState('');
	const field = useRef<HTMLInputElement>(null);
	const id = useId();
	const { unlock, busy, error, forget } = useUnlock(mount);
	const wrong = fileProblem || aboutKey(error);

	useEffect(() => {
		if (autoFocus) field.current?.focus();
	}, [autoFocus]);
	useEffect(() => {
		const input = field.current;
		return () => {
			if (input) input.value = '';
		};
	}, [method]);

	const choose = (m: Method) => {
		setMethod(m);
		setFileProblem('');
		forget();
	};
	const read = async (): Promise<Key | null> => {
		const input = field.current;
		if (!input) return null;
		if (method !== 'key_file') return { [method]: input.value };
		const file = input.files?.[0];
		if (!file) return null;
		if (file.size > KEY_FILE_MAX) {
			setFileProblem(t.unlock.fileTooLarge);
			return null;
		}
		return { key_file: await base64(file) };
	};
	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setFileProblem('');
		const key = await read();
		if (!key) return;
		const answer = await unlock({ volume: volume.volume, ...key });
		if (answer) {
			if (field.current) field.current.value = '';
			announce(t.unlock.done);
			onUnlocked(answer);
		} else {
			field.current?.focus();
			if (method !== 'key_file') field.current?.select();
		}
	};
	return (
		<form onSubmit={(e) => void submit(e)} className="space-y-4" data-testid="unlock" autoComplete="off">
			<div className="flex items-start gap-3">
				<div className="rounded-full bg-accent-soft p-2.5 text-accent">
					<KeyRound className="size-5" aria-hidden />
				</div>
				<div className="min-w-0">
					<h2 className="break-words font-semibold">{t.unlock.title(volumeTitle(volume))}</h2>
					<p className="text-sm text-muted">{t.unlock.lead(encryptionName(volume))}</p>
					{isBitLocker(volume) && volume.reason && (
						<p className="mt-1 break-words text-sm text-muted">{sentence(volume.reason)}</p>
					)}
				</div>
			</div>
			<fieldset>
				<legend className="sr-only">{t.unlock.method}</legend>
				<div className="flex flex-wrap gap-1 rounded-lg bg-raised p-1">
					{methods.map((m) => (
						<label
							key={m}
							className={cn(
								'flex min-h-11 flex-1 cursor-pointer items-center justify-center whitespace-nowrap rounded-md px-3 text-sm font-medium has-[:focus-visible]:outline has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-accent md:min-h-9',
								m === method ? 'bg-surface text-ink shadow-sm' : 'text-muted hover:text-ink',
							)}
						>
							<input
								type="radio"
								name={`${id}-method`}
								className="sr-only"
								checked={m === method}
								onChange={() => choose(m)}
							/>
							{t.unlock.methods[m]}
						</label>
					))}
				</div>
			</fieldset>
			<Field
				id={`${id}-key`}
				label={t.unlock.methods[method]}
				hint={t.unlock.hints[method]}
				{...(wrong && { error: wrong })}
			>
				{(props) => (
					<div className="flex gap-2">
						{method === 'key_file' ? (
							<Input
								key="file"
								ref={field}
								type="file"
								required
								disabled={busy}
								className="cursor-pointer py-2 file:mr-3 file:cursor-pointer file:rounded-md file:border-0 file:bg-raised file:px-2 file:text-ink md:py-1"
								{...props}
							/>
						) : (
							<Input
								key={method}
								ref={field}
								type={shown || method === 'recovery_key' ? 'text' : 'password'}
								autoComplete="off"
								autoCorrect="off"
								autoCapitalize="off"
								spellCheck={false}
								required
								readOnly={busy}
								className={cn(method === 'recovery_key' && 'font-mono text-sm')}
								{...(method === 'recovery_key' && {
									inputMode: 'numeric' as const,
									placeholder: '000000-000000-000000-000000-000000-000000-000000-000000',
								})}
								{...props}
							/>
						)}
						{method === 'passphrase' && (
							<IconButton
								icon={shown ? EyeOff : Eye}
								label={shown ? t.unlock.hide : t.unlock.show}
								aria-pressed={shown}
								onClick={() => setShown(!shown)}
							/>
						)}
					</div>
				)}
			</Field>
			{!window.isSecureContext && (
				<p className="flex gap-2 rounded-lg bg-warn-soft p-3 text-sm text-warn">
					<ShieldAlert className="mt-0.5 size-4 shrink-0" aria-hidden />
					{t.unlock.plain}
				</p>
			)}
			{error !== null && !wrong && <Problem error={error} />}
			<div className="flex flex-wrap items-center gap-x-4 gap-y-2">
				<Button type="submit" look="primary" busy={busy}>
					{busy ? t.unlock.working : t.unlock.submit}
				</Button>
				<p className="min-w-0 flex-1 basis-52 text-xs text-muted">{t.unlock.kept}</p>
			</div>
		</form>
	);
}
