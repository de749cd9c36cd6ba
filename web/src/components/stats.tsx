import type { LucideIcon } from 'lucide-react';
import { Card, Skeleton } from '@/components/ui';

export function Stat({
	icon: Icon,
	label,
	value,
	hint,
}: {
	icon: LucideIcon;
	label: string;
	value: string | undefined;
	hint?: string;
}) {
	return (
		<Card className="flex items-center gap-3 p-3 sm:p-4">
			<div className="hidden rounded-lg bg-accent-soft p-2.5 text-accent sm:block">
				<Icon className="size-5" aria-hidden />
			</div>
			<dl className="min-w-0">
				<dt className="text-xs text-muted sm:text-sm">{label}</dt>
				<dd className="text-xl font-semibold tabular-nums sm:text-2xl">
					{value ?? <Skeleton className="my-1.5 w-12" />}
					{hint && <span className="ml-1.5 hidden text-sm font-normal text-muted sm:inline">{hint}</span>}
				</dd>
			</dl>
		</Card>
	);
}
