import { CircleAlert, HardDrive, Lock } from 'lucide-react';
import { Choice } from '@/components/choice';
import { Badge } from '@/components/ui';
import { t } from '@/texts';
import { volumeFacts, volumeTitle, type Volume } from './volumes';

function Icon({ v }: { v: Volume }) {
	const Shape = v.locked ? Lock : v.supported ? HardDrive : CircleAlert;
	return <Shape className="size-5 shrink-0 text-muted" aria-hidden />;
}

export function VolumeChoice({
	volumes,
	chosen,
	onChoose,
}: {
	volumes: Volume[];
	chosen: number | undefined;
	onChoose: (volume: number) => void;
}) {
	return (
		<div className="grid gap-2 p-0.5 sm:grid-cols-2">
			{volumes.map((v) => (
				<Choice key={v.volume} name="volume" checked={v.volume === chosen} onChoose={() => onChoose(v.volume)}>
					<Icon v={v} />
					<span className="min-w-0 flex-1">
						<span className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
							<span className="min-w-0 break-words font-medium">{volumeTitle(v)}</span>
							{v.default && <Badge tone="good">{t.restore.suggested}</Badge>}
							{v.locked && <Badge tone="warn">{t.browser.locked}</Badge>}
							{!v.locked && !v.supported && <Badge>{t.browser.unsupported}</Badge>}
						</span>
						<span className="block text-sm text-muted">{volumeFacts(v)}</span>
					</span>
				</Choice>
			))}
		</div>
	);
}
