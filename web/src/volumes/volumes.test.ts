import { describe, expect, it } from 'vitest';
import { cameFree, choosable, preferred, type Volume } from './volumes';

const volume = (number: number, changes: Partial<Volume> = {}): Volume => ({
	volume: number,
	kind: 'partition',
	label: '',
	filesystem_type: 'ext4',
	uuid: null,
	size: 1000,
	supported: true,
	default: false,
	locked: false,
	container: false,
	disk_index: 0,
	parent: 0,
	partition: number,
	offset: 0,
	name: null,
	partition_table: 'gpt',
	partition_type: null,
	partition_type_name: null,
	partition_uuid: null,
	reason: null,
	...changes,
});
const locked = (n: number, size = 1000) => volume(n, { locked: true, supported: false, container: true, size });

describe('the volume that is meant', () => {
	it('is the default one', () =>
		expect(preferred([volume(1, { size: 9000 }), volume(2, { default: true })])?.volume).toBe(2));
	it('else the largest readable one', () =>
		expect(preferred([volume(1), volume(2, { size: 5000 }), locked(3, 9000)])?.volume).toBe(2));
	it('else a locked one', () => expect(preferred([volume(1, { supported: false }), locked(2)])?.volume).toBe(2));
	it('else any', () => expect(preferred([volume(1, { supported: false })])?.volume).toBe(1));
	it('is none on an empty disk', () => expect(preferred([])).toBeUndefined());
	it('is never a container, but a locked one can be chosen', () =>
		expect(choosable([volume(1, { container: true }), locked(2), volume(3)]).map((v) => v.volume)).toEqual([2, 3]));
});

describe('after unlocking', () => {
	const before = [volume(1, { default: true }), locked(2)];
	it('what came free is shown', () =>
		expect(cameFree(before, [volume(1, { default: true }), volume(2, { container: true }), volume(3)])?.volume).toBe(
			3,
		));
	it('else what there was', () => expect(cameFree(before, before)?.volume).toBe(1));
});
