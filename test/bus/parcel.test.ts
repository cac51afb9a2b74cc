import { expect, it } from 'vitest';
import { Parcel } from '../../src/bus/parcel.ts';

const DATA = Uint8Array.from({ length: 100 }, (_, at) => at);

/** A parcel of DATA that lies behind `before` other bytes, with `after` behind it, in pieces cut at these places. */
function parcelOf(before: number, after: number, ...cuts: number[]): Parcel {
  const bytes = new Uint8Array(before + DATA.length + after).fill(255);
  bytes.set(DATA, before);
  const [first, ...more] = [0, ...cuts].map((from, at) => bytes.slice(from, cuts[at])) as [
    Uint8Array,
    ...Uint8Array[],
  ];
  const parcel = new Parcel('$.a', 0, 0, first, before, DATA.length);
  if (more.length > 0) parcel.more = more;
  return parcel;
}

it.for<[string, Parcel]>([
  ['that is all of its memory', parcelOf(0, 0)],
  ['at the front of it', parcelOf(0, 8)],
  ['in the midst of it', parcelOf(12, 8)],
  ['in a Buffer', new Parcel('$.a', 0, 0, Buffer.from(DATA), 0, DATA.length)],
  ['in two pieces', parcelOf(12, 8, 50)],
  ['in two pieces, of which the first is as long as the data', parcelOf(12, 8, DATA.length)],
  ['in many pieces', parcelOf(12, 8, 13, 40, 41, 99, 115)],
])('data %s is copied whole, and no more than it.', ([, parcel]) => {
  const copy = parcel.copyData();
  expect([...copy]).toEqual([...DATA]);
  copy.fill(0);
  expect([...parcel.copyData()]).toEqual([...DATA]);
});
