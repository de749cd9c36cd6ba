import { describe, expect, it } from 'vitest';
import type { Schemas } from '@/api/client';
import { chainsOf, diskIndexes } from './chains';

const backup = (id: string, day: number, parent: string | null, disks = [0]) =>
	({
		backup_id: id,
		created_at: `2024-01-0${day}T00:00:00Z`,
		disks: disks.map((disk_index) => ({ disk_index, parent_backup_id: parent, stored_bytes: 1, size_bytes: 2 })),
	}) as Schemas['Backup'];

const ids = (list: readonly Schemas['Backup'][], disk: number) =>
	chainsOf(list, disk).map((chain) => chain.map((l) => l.backup.backup_id).join());

describe('chains', () => {
	it('follows what needs what, newest chain first', () => {
		const list = [
			backup('e', 5, 'd'),
			backup('d', 4, null),
			backup('c', 3, 'b'),
			backup('b', 2, 'a'),
			backup('a', 1, null),
		];
		expect(ids(list, 0)).toEqual(['d,e', 'a,b,c']);
	});
	it('what needs something unknown stands alone', () => expect(ids([backup('b', 2, 'gone')], 0)).toEqual(['b']));
	it('goes by disk', () => {
		const list = [backup('a', 1, null, [0, 2]), backup('b', 2, 'a', [0])];
		expect(diskIndexes(list)).toEqual([0, 2]);
		expect(ids(list, 2)).toEqual(['a']);
	});
});
