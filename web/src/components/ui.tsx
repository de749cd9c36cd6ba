/* The page's small parts, in the manner of shadcn: Radix for behaviour, tokens for looks. */
import * as RadixDialog from '@radix-ui/react-dialog';
import * as Menu from '@radix-ui/react-dropdown-menu';
import { Slot } from '@radix-ui/react-slot';
import { cva, type VariantProps } from 'class-variance-authority';
import { LoaderCircle, X, type LucideIcon } from 'lucide-react';
import type { ButtonHTMLAttributes, ComponentProps, InputHTMLAttributes, ReactNode } from 'react';
import { cn } from '@/lib/cn';
import { t } from '@/texts';

const button = cva(
	'inline-flex min-h-11 shrink-0 cursor-pointer items-center justify-center gap-2 whitespace-nowrap rounded-lg font-medium transition-colors disabled:cursor-not-allowed disabled:opacity-55 md:min-h-9',
	{
		variants: {
			look: {
				primary: 'bg-accent text-accent-ink hover:bg-accent/90',
				plain: 'border border-control/50 bg-surface text-ink hover:bg-raised',
				quiet: 'text-ink hover:bg-raised',
				danger: 'border border-danger/50 bg-surface text-danger hover:bg-danger-soft',
			},
			size: { text: 'px-3.5 text-sm', icon: 'w-11 md:w-9' },
		},
		defaultVariants: { look: 'plain', size: 'text' },
	},
);

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> &
	VariantProps<typeof button> & { asChild?: boolean; busy?: boolean; ref?: React.Ref<HTMLButtonElement> };

export function Button({ look, size, asChild, busy, className, children, disabled, ...rest }: ButtonProps) {
	const classes = cn(button({ look, size }), className);
	if (asChild)
		return (
			<Slot className={classes} {...rest}>
				{children}
			</Slot>
		);
	return (
		<button type="button" className={classes} disabled={disabled || busy} {...rest}>
			{busy && <LoaderCircle className="size-4 animate-spin" aria-hidden />}
			{children}
		</button>
	);
}

export function IconButton({
	icon: Icon,
	label,
	...rest
}: { icon: LucideIcon; label: string } & Omit<ButtonProps, 'size' | 'children'>) {
	return (
		<Button size="icon" look="quiet" aria-label={label} title={label} {...rest}>
			<Icon className="size-[18px]" aria-hidden />
		</Button>
	);
}

export function Card({ className, ...rest }: ComponentProps<'section'>) {
	return <section className={cn('rounded-xl border bg-surface', className)} {...rest} />;
}

export function Input({
	className,
	...rest
}: InputHTMLAttributes<HTMLInputElement> & { ref?: React.Ref<HTMLInputElement> }) {
	return (
		<input
			className={cn(
				'min-h-11 w-full rounded-lg border border-control bg-surface px-3 text-ink placeholder:text-muted aria-[invalid=true]:border-danger md:min-h-9',
				className,
			)}
			{...rest}
		/>
	);
}

/** A labelled field with its hint, and what is wrong with what it holds. */
export function Field({
	id,
	label,
	hint,
	error,
	children,
}: {
	id: string;
	label: string;
	hint?: string;
	error?: string;
	children: (props: { id: string; 'aria-describedby': string; 'aria-invalid': boolean }) => ReactNode;
}) {
	return (
		<div className="space-y-1">
			<label htmlFor={id} className="block text-sm font-medium">
				{label}
			</label>
			{children({ id, 'aria-describedby': `${id}-hint ${id}-error`, 'aria-invalid': error !== undefined })}
			<p id={`${id}-error`} role="alert" className="text-sm font-medium text-danger empty:hidden">
				{error}
			</p>
			{hint && (
				<p id={`${id}-hint`} className="text-sm text-muted">
					{hint}
				</p>
			)}
		</div>
	);
}

export function Select({ className, ...rest }: ComponentProps<'select'>) {
	return (
		<select
			className={cn(
				'min-h-11 rounded-lg border border-control bg-surface px-2.5 text-sm text-ink md:min-h-9',
				className,
			)}
			{...rest}
		/>
	);
}

const badge = cva('inline-flex items-center whitespace-nowrap rounded-full px-2 py-0.5 text-xs font-medium', {
	variants: {
		tone: {
			neutral: 'bg-raised text-muted',
			accent: 'bg-accent-soft text-accent ring-1 ring-inset ring-accent/30',
			good: 'bg-good-soft text-good',
			warn: 'bg-warn-soft text-warn',
			danger: 'bg-danger-soft text-danger',
		},
	},
	defaultVariants: { tone: 'neutral' },
});

export function Badge({ tone, children }: VariantProps<typeof badge> & { children: ReactNode }) {
	return <span className={badge({ tone })}>{children}</span>;
}

export function Skeleton({ className }: { className?: string }) {
	return <div aria-hidden className={cn('h-4 animate-pulse rounded bg-raised', className)} />;
}

export function SkeletonRows({ rows = 4 }: { rows?: number }) {
	return (
		<div className="space-y-3 p-4" role="status" aria-label={t.loading}>
			{Array.from({ length: rows }, (_, i) => (
				<Skeleton key={i} className="h-9" />
			))}
		</div>
	);
}

export function Empty({
	icon: Icon,
	title,
	hint,
	children,
}: {
	icon: LucideIcon;
	title: string;
	hint?: string;
	children?: ReactNode;
}) {
	return (
		<div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
			<div className="rounded-full bg-raised p-3 text-muted">
				<Icon className="size-6" aria-hidden />
			</div>
			<p className="font-medium">{title}</p>
			{hint && <p className="max-w-sm text-sm text-muted">{hint}</p>}
			{children && <div className="mt-2">{children}</div>}
		</div>
	);
}

export function PageHead({ title, lead, children }: { title: string; lead?: string; children?: ReactNode }) {
	return (
		<header className="mb-5 flex flex-wrap items-end justify-between gap-3">
			<div>
				<h1 className="text-2xl font-semibold tracking-tight">{title}</h1>
				{lead && <p className="mt-1 max-w-2xl text-muted">{lead}</p>}
			</div>
			{children}
		</header>
	);
}

/* Without Radix's own overlay: that one adds a style element, which the Content-Security-Policy refuses. */
export function Dialog({
	open,
	onClose,
	title,
	children,
	wide = false,
	description,
}: {
	open: boolean;
	onClose: () => void;
	title: string;
	children: ReactNode;
	wide?: boolean;
	description?: string;
}) {
	return (
		<RadixDialog.Root open={open} onOpenChange={(o) => !o && onClose()}>
			<RadixDialog.Portal>
				<div className="fixed inset-0 z-40 bg-black/50" aria-hidden />
				<RadixDialog.Content
					{...(!description && { 'aria-describedby': undefined })}
					className={cn(
						'fixed inset-x-0 bottom-0 z-50 max-h-[92dvh] overflow-y-auto rounded-t-2xl border bg-surface p-5 shadow-xl sm:inset-auto sm:left-1/2 sm:top-1/2 sm:w-[calc(100%-2rem)] sm:-translate-x-1/2 sm:-translate-y-1/2 sm:rounded-2xl',
						wide ? 'sm:max-w-3xl' : 'sm:max-w-md',
					)}
				>
					<div className="mb-3 flex items-start justify-between gap-3">
						<RadixDialog.Title className="min-w-0 break-words pt-1.5 text-lg font-semibold">{title}</RadixDialog.Title>
						<RadixDialog.Close asChild>
							<IconButton icon={X} label={t.close} />
						</RadixDialog.Close>
					</div>
					{description && <RadixDialog.Description className="mb-4 text-muted">{description}</RadixDialog.Description>}
					{children}
				</RadixDialog.Content>
			</RadixDialog.Portal>
		</RadixDialog.Root>
	);
}

/* Not modal, for the same reason; inside the page's main part, so that it belongs to a landmark. */
export function DropdownMenu({ trigger, children }: { trigger: ReactNode; children: ReactNode }) {
	return (
		<Menu.Root modal={false}>
			<Menu.Trigger asChild>{trigger}</Menu.Trigger>
			<Menu.Portal container={document.getElementById('main')}>
				<Menu.Content
					align="end"
					sideOffset={4}
					collisionPadding={8}
					className="z-50 max-h-[min(24rem,70dvh)] min-w-44 overflow-y-auto rounded-xl border bg-surface p-1 shadow-xl"
				>
					{children}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}

const menuItem =
	'flex min-h-11 cursor-pointer select-none items-center gap-2 rounded-lg px-3 text-sm outline-none data-[highlighted]:bg-raised data-[disabled]:opacity-50 md:min-h-9';

export function MenuItem({ className, ...rest }: ComponentProps<typeof Menu.Item>) {
	return <Menu.Item className={cn(menuItem, className)} {...rest} />;
}

export function MenuCheck({ children, ...rest }: ComponentProps<typeof Menu.CheckboxItem>) {
	return (
		<Menu.CheckboxItem className={menuItem} onSelect={(e) => e.preventDefault()} {...rest}>
			<span className="w-4 text-accent" aria-hidden>
				{rest.checked ? '✓' : ''}
			</span>
			{children}
		</Menu.CheckboxItem>
	);
}
