import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError, NetworkError } from '@/api/client';
import { Button } from '@/components/ui';
import { explain } from '@/lib/errors';
import { t } from '@/texts';

/** Friendly words for an error, with what can be done about it. */
export function Problem({ error, onRetry, children }: { error: unknown; onRetry?: () => void; children?: ReactNode }) {
	const { title, advice, detail, code } = explain(error);
	return (
		<div role="alert" className="m-1 flex gap-3 rounded-xl border border-danger/40 bg-danger-soft p-4">
			<CircleAlert className="mt-0.5 size-5 shrink-0 text-danger" aria-hidden />
			<div className="min-w-0 space-y-1">
				<p className="font-medium text-danger">{title}</p>
				{advice && <p className="text-sm">{advice}</p>}
				{detail && <p className="break-words text-sm">{detail}</p>}
				{code && <p className="text-xs opacity-80">{t.errors.code(code)}</p>}
				{(onRetry || children) && (
					<div className="flex flex-wrap gap-2 pt-2">
						{onRetry && <Button onClick={onRetry}>{t.retry}</Button>}
						{children}
					</div>
				)}
			</div>
		</div>
	);
}

export function isCode(error: unknown, code: string): error is ApiError {
	return error instanceof ApiError && error.code === code;
}

export function isNetwork(error: unknown): boolean {
	return error instanceof NetworkError;
}
