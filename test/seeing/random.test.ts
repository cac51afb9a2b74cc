import { expect, it } from 'vitest';
import { Random } from '../../harness/random.mjs';
import { reportStats } from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import { type Journey, Journeys } from '../../src/seeing/journeys.ts';
import { Traffic } from '../../src/seeing/traffic.ts';
import { treeOf } from '../../src/seeing/tree.ts';
import type { Program, Seen } from '../bus/program.ts';
import { Watched } from './watched.ts';

// KBUS_SEEING_SEED repeats the run of one seed; KBUS_SEEING_RUNS is the number of new runs.

const NAMES = ['$.A', '$.A.B', '$.A.C'] as const;
const PATTERNS = [...NAMES, '$.*', '$.A.%', '$.A.*'] as const;
const STEPS = 250;

interface Party {
  readonly program: Program;
  readonly asked: Seen[];
  readonly tokens: number[];
}

/** A run of random calls; after each, what the models say is compared with what the bus itself reports. */
function run(seed: number): { finished: number; statuses: number; missed: number } {
  const random = new Random(seed);
  const traffic = new Traffic();
  const finished: Journey[] = [];
  const journeys = new Journeys(
    () => true,
    (journey) => finished.push(journey),
  );
  const watch = new Watched({
    apply: (event) => {
      traffic.apply(event);
      journeys.apply(event);
    },
  });
  const { bus } = watch;
  bus.work.clock = () => watch.time / 1000;
  let parties: Party[] = [];
  let token = 0;
  let missed = 0;

  const steps: Record<string, (party: Party) => void> = {
    open: () => {
      if (parties.length >= 6) return;
      const program = watch.program(`p${parties.length}`, { limit: 1 + random.below(8) });
      if (random.chance(0.2)) program.ksock.wantMessagesOnce(1);
      program.onRoom = () => void program.ksock.poll();
      parties.push({ program, asked: [], tokens: [] });
    },
    close: (party) => {
      if (!random.chance(0.2)) return;
      party.program.close();
      parties = parties.filter((one) => one !== party);
    },
    bind: ({ program }) => void program.ksock.bind(random.pick(PATTERNS), random.chance(0.4)),
    unbind: ({ program }) => void program.ksock.unbind(random.pick(PATTERNS), random.chance(0.4)),
    announce: ({ program }) => {
      const flags = random.pick([0, 0, 0, Flag.URGENT, Flag.ALL_OR_WAIT, Flag.ALL_OR_FAIL]);
      program.announce(random.pick(NAMES), { flags, data: 'x'.repeat(random.below(5)) });
    },
    request: ({ program, tokens }) => {
      const flags = random.pick([0, 0, Flag.URGENT, Flag.ALL_OR_WAIT]);
      if (random.chance(0.5)) {
        program.request(random.pick(NAMES), { flags });
        return;
      }
      tokens.push(++token);
      program.request(random.pick(NAMES), { flags, token });
    },
    read: ({ asked, program }) => {
      const message = program.read();
      if (message !== undefined && (message.flags & Flag.WANT_YOU_TO_REPLY) !== 0)
        asked.push(message);
    },
    reply: ({ asked, program }) => {
      const [request] = asked.splice(random.below(asked.length), 1);
      if (request !== undefined) program.reply(request, { data: 'y' });
    },
    forget: ({ program, tokens }) => {
      const [one] = tokens.splice(random.below(tokens.length), 1);
      if (one !== undefined) program.ksock.forget(one);
    },
    discard: ({ program }) => void program.ksock.discard(),
    resend: ({ program }) => void program.ksock.resend(),
  };
  const weights = {
    ...{ open: 3, close: 1, bind: 4, unbind: 1, announce: 8, request: 8, read: 14, reply: 6 },
    ...{ forget: 1, discard: 1, resend: 2 },
  };

  const compare = (): void => {
    watch.settle();
    const { ksocks } = traffic.snapshot(watch.time);
    const ages = ksocks.map(({ info, unansweredAge, unreadAge }) => ({
      ...{ ksock: info.ksock, queue: info.unread, missed: info.missed },
      ...{ unreadAge, unsentReplyAge: unansweredAge },
    }));
    const reported = reportStats(bus).ksocks.map(
      ({ ksock, queue, missed, unreadAge, unsentReplyAge }) => ({
        ...{ ksock, queue, missed, unreadAge, unsentReplyAge },
      }),
    );
    expect(ages.sort((a, b) => a.ksock - b.ksock)).toEqual(
      reported.sort((a, b) => a.ksock - b.ksock),
    );
  };

  steps['open']?.(undefined as never);
  for (let step = 0; step < STEPS; step++) {
    watch.pass(1000 * random.below(3));
    bus.work.tick();
    const party = random.pick(parties);
    if (party === undefined) steps['open']?.(party as never);
    else steps[random.weighted(weights)]?.(party);
    compare();
  }
  missed = reportStats(bus).ksocks.reduce((sum, one) => sum + one.missed, 0);
  for (const { program } of parties) program.close();
  watch.settle();
  // When everybody has left, nothing more can become of any message, and each was told of once.
  expect(journeys.unfinished).toEqual([]);
  expect(new Set(finished).size).toBe(finished.length);
  for (const journey of finished) {
    const { answer, copies, cut, givenUp, kind, sent } = journey;
    const tree = treeOf(journey, { timeOf: () => '', now: watch.time }).join('\n');
    expect([cut, sent === null], tree).toEqual([null, false]);
    expect(
      copies.every(({ end }) => end !== null),
      tree,
    ).toBe(true);
    if (kind === 'Request' && sent?.how === 'sent') {
      expect(answer !== null || givenUp !== null, tree).toBe(true);
    }
  }
  const statuses = finished.filter(({ answer }) => answer !== null && answer.status !== '').length;
  return { finished: finished.length, statuses, missed };
}

const { KBUS_SEEING_RUNS = '150', KBUS_SEEING_SEED } = process.env;
const runs = KBUS_SEEING_SEED === undefined ? Number(KBUS_SEEING_RUNS) : 1;

it('The models of a bus agree with what the bus itself reports, in random runs', {
  timeout: 120_000,
}, () => {
  const first =
    KBUS_SEEING_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(KBUS_SEEING_SEED);
  const sum = { finished: 0, statuses: 0, missed: 0 };
  for (let seed = first; seed < first + runs; seed++) {
    try {
      const figures = run(seed);
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += figures[key];
    } catch (error) {
      const again = `KBUS_SEEING_SEED=${seed} npx vitest run test/seeing/random.test.ts`;
      throw new Error(`seed ${seed}: ${(error as Error).message}\nRepeat it with: ${again}`, {
        cause: error,
      });
    }
  }
  console.log(`models: seeds from ${first}: ${JSON.stringify(sum)}`);
  if (runs < 100) return;
  for (const count of Object.values(sum)) expect(count).toBeGreaterThan(0);
});
