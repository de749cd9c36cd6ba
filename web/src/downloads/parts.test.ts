import { expect, it } from 'vitest';
import { inParts } from './parts';

it('one part where all fit', () => expect(inParts(['/a', '/b'], 100)).toEqual([['/a', '/b']]));
it('further ones else', () => expect(inParts(['/a', '/b', '/c'], 11)).toEqual([['/a', '/b'], ['/c']]));
it('a long path has a part of its own', () => expect(inParts(['/aaaaaaaa', '/b'], 4)).toEqual([['/aaaaaaaa'], ['/b']]));
it('nothing', () => expect(inParts([], 4)).toEqual([]));
