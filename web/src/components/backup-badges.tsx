import type { Schemas } from '@/api/client';
import { Badge } from '@/components/ui';
import { t } from '@/texts';

export function TypeBadge({ type }: { type: Schemas['BackupType'] }) {
	return <Badge tone={type === 'full' ? 'accent' : 'neutral'}>{t.backups.types[type]}</Badge>;
}

const TONES = {
	completed: 'good',
	failed: 'danger',
	cancelled: 'neutral',
	running: 'warn',
	pending: 'neutral',
} as const;

export function StatusBadge({ status }: { status: Schemas['BackupStatus'] }) {
	return <Badge tone={TONES[status]}>{t.backups.statuses[status]}</Badge>;
}
