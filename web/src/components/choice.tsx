import type { ReactNode } from 'react';
import { cn } from '@/lib/cn';

/** A radio button that looks like a card. */
export function Choice({
	name,
	checked,
	onChoose,
	children,
	className,
}: {
	name: string;
	checked: boolean;
	onChoose: () => void;
	children: ReactNode;
	className?: string;
}) {
	return (
		<label
			className={cn(
				'relative flex min-h-11 cursor-pointer items-center gap-3 rounded-lg border px-3 py-2 has-[:focus-visible]:outline has-[:focus-visible]:outline-2 has-[:focus-visible]:outline-offset-2 has-[:focus-visible]:outline-accent',
				checked ? 'border-accent bg-accent-soft' : 'border-control/50 hover:bg-raised',
				className,
			)}
		>
			<input type="radio" name={name} checked={checked} onChange={onChoose} className="sr-only" />
			{children}
		</label>
	);
}
