import { describe, expect, it } from 'vitest';
import { Bowl, jointsOf, linksOf } from '../../src/page/model/bowl.ts';
import { Watched } from '../seeing/watched.ts';

/** A bowl of a bus with programs. */
function bowlOf(bus: number, play: (watch: Watched) => void): Bowl {
  const bowl = new Bowl(bus);
  const watch = new Watched({ apply: (event) => bowl.apply(event) });
  play(watch);
  watch.settle();
  return bowl;
}

const link = (peer: number, state = 'up') => ({ kind: 'client', address: '/run/l', state, peer });

describe('A bowl', () => {
  it('has the programs of its bus, and the Limpets apart from them', () => {
    const bowl = bowlOf(0, (watch) => {
      watch.program('sensor');
      watch.program('sensor');
      watch.program('screen');
      watch.program('kbus limpet').answer('$.KBUS.Limpet.At.7');
    });
    expect(bowl.limpets).toEqual([7]);
    expect(bowl.names).toEqual([
      ['screen', 1],
      ['sensor', 2],
    ]);
  });

  it('has a link once that both of its Limpets tell of, and those with nobody at the other end', () => {
    const [one, other] = [new Bowl(0), new Bowl(1)];
    one.links.set(1, linksOf({ links: [link(2), { kind: 'server', state: 'waiting' }] }));
    other.links.set(2, linksOf({ links: [link(1, 'standby')] }));
    other.links.set(3, null);
    const joints = jointsOf([one, other]).map(({ ends, from, to }) => [
      from,
      to,
      ends.map(({ state }) => state).join(),
    ]);
    expect(joints).toEqual([
      [1, 2, 'up,standby'],
      [1, null, 'waiting'],
    ]);
  });

  it.each([[null], ['no report'], [{ links: 'none' }], [7], [{}]])(
    'takes %j for no report of a Limpet',
    (report) => {
      expect(linksOf(report)).toBeNull();
    },
  );

  it('shows of a report only what is safe to show', () => {
    const long = 'x'.repeat(10_000);
    const links = [{ state: '\u202eup', address: long, peer: '2', roundTrip: Number.NaN }, null];
    const [first, second] = linksOf({ links }) ?? [];
    expect(first).toMatchObject({ state: '\\u202eup', peer: null, roundTrip: null });
    expect(first?.address).toHaveLength(200);
    expect(second?.state).toBe('');
  });
});
