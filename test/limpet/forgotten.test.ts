import { beforeEach, describe, expect, it } from 'vitest';
import { QUIET_BUS } from '../../harness/quiet-bus.mjs';
import type { Frame } from '../../src/limpet/hub/frame.ts';
import { Hub } from '../../src/limpet/hub/hub.ts';
import { linkOf } from '../../src/limpet/hub/neighbours.ts';
import { Bowl, type Goldfish } from './simulator/bowl.ts';
import { Cable, Limpet } from './simulator/pond.ts';

const FILTERS = [['$.*'], ['$.*']];

describe('a Limpet that was out of reach for so long that others have forgotten it', () => {
  let limpets: Limpet[];
  let cables: Cable[];
  let witness: Goldfish;
  let far: Goldfish;

  function settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const cable of cables)
        for (const which of [0, 1]) if (cable.take(which, 100)) isBusy = true;
      for (const limpet of limpets) if (limpet.read(100) || limpet.flushAll()) isBusy = true;
    }
    witness.readAll();
  }

  function tick(limpet: Limpet | undefined, times = 4): void {
    for (let at = 0; at < times; at++) limpet?.hub.tick();
    settle();
  }

  // Four buses in a row, of which the last two are cut off.
  beforeEach(() => {
    const bowls = [new Bowl(0), new Bowl(1), new Bowl(2), new Bowl(3)];
    limpets = bowls.map(
      (bowl, at) =>
        new Limpet(bowl, at + 1, 1, { maxBytes: 100_000, forgetAfter: 2, congested: 1000 }),
    );
    for (const limpet of limpets) limpet.speak(null);
    const [one, two, three, four] = limpets as [Limpet, Limpet, Limpet, Limpet];
    cables = [
      new Cable(0, false, 1000, FILTERS, () => [one, two]),
      new Cable(1, false, 1000, FILTERS, () => [two, three]),
      new Cable(2, false, 1000, FILTERS, () => [three, four]),
    ];
    const fish = bowls.map((bowl) => bowl.add());
    [witness, far] = [fish[0], fish[3]] as [Goldfish, Goldfish];
    far.bind('$.Far');
    for (const cable of cables) cable.connect();
    settle();
    far.announce('$.a');
    settle();
    expect(witness.heard).toEqual(new Set(['3.0.0:1']));
    cables[1]?.cut();
    settle();
    far.announce('$.a');
    far.announce('$.b');
    settle();
  });

  function mend(): void {
    cables[1]?.connect();
    settle();
  }

  it('is asked for when it is in reach again, though it is no news for those between them', () => {
    tick(limpets[0]);
    expect(limpets[0]?.hub.topology.hubs.has('4.1')).toBe(false);
    expect(limpets[1]?.hub.topology.hubs.has('4.1')).toBe(true);
    mend();
    tick(limpets[0], 1);
    expect(limpets[0]?.proxied).toEqual(['$.Far']);
  });

  it('gives them what it has kept for them', () => {
    tick(limpets[0]);
    mend();
    tick(limpets[0], 1);
    expect(witness.heard).toEqual(new Set(['3.0.0:1', '3.0.0:2', '3.0.0:3']));
    expect(witness.missed).toBe(0);
  });

  it('tells them how much they have missed, if it has forgotten them, too', () => {
    for (const limpet of limpets) tick(limpet);
    mend();
    for (const limpet of limpets) tick(limpet, 1);
    far.announce('$.a');
    settle();
    expect(witness.heard).toEqual(new Set(['3.0.0:1', '3.0.0:4']));
    expect(witness.missed).toBe(2);
  });
});

it('changes that come too early are kept of a bounded number of Limpets; of others, the neighbour is asked for all', () => {
  const sent: Frame[] = [];
  const hub = new Hub(
    { address: { id: 1, life: 1 }, maxBytes: 1000, forgetAfter: 10 },
    {
      ...QUIET_BUS,
      bind: (name) => hub.bound(name, true),
      transmit: (_link, frame) => {
        sent.push(frame);
        return true;
      },
    },
  );
  hub.joinBus(1);
  const link = linkOf(0, { id: 2, life: 1 }, 1024, ['$.*']);
  hub.linkUp(link);
  const asked = (): number =>
    sent.filter((frame) => frame.kind === 'state' && frame.state.seq === 0).length;
  const change = (id: number, seq: number, name: string): void =>
    hub.received(link, { kind: 'replier', hub: { id, life: 1 }, seq, isBound: true, name });
  const { early } = hub.neighbours as unknown as { early: Map<string, Map<number, unknown>> };

  for (let id = 10; id < 1010; id++) change(id, 3, '$.Name');
  expect(early.size).toBe(64);
  expect(asked()).toBe(1000 - 64);
  for (let seq = 4; seq < 1004; seq++) change(10, seq, `$.Name.${seq}`);
  expect(early.get('10.1')?.size).toBe(256);
  expect(asked()).toBe(1000 - 64 + 1000 - 255);

  // The answer, and what has been kept.
  const state = { hub: { id: 10, life: 1 }, seq: 2, links: [], replaces: null, repliers: ['$.A'] };
  hub.received(link, { kind: 'state', state });
  expect(hub.topology.hubs.get('10.1')?.repliers.size).toBe(257);
  expect(early.has('10.1')).toBe(false);
});
