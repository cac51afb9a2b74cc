import { describe, expect, it } from 'vitest';
import type { StoredMessage } from '../../../src/limpet/federation/engine.ts';
import type { HeldFrames } from '../../../src/limpet/federation/held-frames.ts';
import { type Sabotage, simulate } from './sea.ts';

// KBUS_STREAM_SEED repeats the run of one seed; KBUS_STREAM_RUNS is the number of new runs.

const { KBUS_STREAM_SEED, KBUS_STREAM_RUNS } = process.env;
const runs = KBUS_STREAM_RUNS === undefined ? 150 : Number(KBUS_STREAM_RUNS);

function mustHold(seed: number): ReturnType<typeof simulate> {
  try {
    return simulate(seed);
  } catch (error) {
    const again = `KBUS_STREAM_SEED=${seed} npx vitest run test/limpet/simulator/stream`;
    throw new Error(`seed ${seed}: ${(error as Error).message}\nRepeat it with: ${again}`, {
      cause: error,
    });
  }
}

describe('federations of 2 to 16 buses hear one order, each message once, whatever happens to the stream', () => {
  it.runIf(KBUS_STREAM_SEED !== undefined)('in the run of a seed', () => {
    console.log(JSON.stringify(mustHold(Number(KBUS_STREAM_SEED))));
  });

  it.runIf(KBUS_STREAM_SEED === undefined)('in new random runs', { timeout: 3_600_000 }, () => {
    const first = Math.floor(Math.random() * 2 ** 31);
    const sum = { heard: 0, direct: 0, kills: 0, missed: 0, stored: 0, breaks: 0, dropped: 0 };
    for (let seed = first; seed < first + runs; seed++) {
      const figures = mustHold(seed);
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += figures[key];
    }
    console.log(`streams: seeds from ${first}: ${JSON.stringify({ runs, ...sum })}`);
    if (runs < 100) return;
    for (const count of Object.values(sum)) expect(count).toBeGreaterThan(0);
  });
});

interface ReaderInsides {
  taken: number;
  known: Map<string, number>;
  take(message: StoredMessage): void;
  mayGive(): boolean;
  host: { save(cursor: object): void; missed(): void };
}

/** Parts that are broken on purpose: the simulator must notice each fault. */
const FAULTS: Record<string, Sabotage> = {
  'what comes again is delivered again': {
    reader: (reader) => {
      const insides = reader as unknown as ReaderInsides;
      const get = insides.known.get.bind(insides.known);
      insides.known.get = (key) => {
        const number = get(key);
        return number === undefined ? undefined : number - 1;
      };
    },
  },
  'a redelivered message is taken': {
    reader: (reader) => {
      const insides = reader as unknown as ReaderInsides;
      const take = insides.take.bind(insides);
      insides.take = (message) => {
        insides.taken = Math.min(insides.taken, message.seq - 1);
        insides.known.delete([...insides.known.keys()].at(-1) ?? '');
        take(message);
      };
    },
  },
  'nobody remembers what the bus was being given when its Limpet was killed': {
    reader: (reader) => {
      const insides = reader as unknown as ReaderInsides;
      const save = insides.host.save.bind(insides.host);
      insides.host.save = (cursor) => save({ ...cursor, given: [] });
    },
  },
  'the cursor is never saved': {
    reader: (reader) => {
      (reader as unknown as ReaderInsides).host.save = () => {};
    },
  },
  'what is lost is not told': {
    reader: (reader) => {
      (reader as unknown as ReaderInsides).host.missed = () => {};
    },
  },
  'an Announcement does not wait for what was sent before': {
    reader: (reader) => {
      (reader as unknown as ReaderInsides).mayGive = () => true;
    },
  },
  'a Request does not wait for what was announced before': {
    held: (held: HeldFrames) => {
      (held as unknown as { hasCome(): boolean }).hasCome = () => true;
    },
  },
  'the outbox does not store again what it got no answer for': {
    outbox: (outbox) => {
      const insides = outbox as unknown as { parcel: object | null };
      const failed = outbox.failed.bind(outbox);
      outbox.failed = () => {
        insides.parcel = null;
        failed();
      };
    },
  },
  'the outbox stores two messages at a time': {
    outbox: (outbox) => {
      Object.defineProperty(outbox, 'isOnTheWay', { get: () => false, set: () => {} });
    },
  },
};

it.each(Object.entries(FAULTS))('the simulator notices that %s', (_fault, sabotage) => {
  for (let seed = 1; seed <= 500; seed++) {
    try {
      simulate(seed, sabotage);
    } catch (error) {
      expect(String(error)).not.toContain('TypeError');
      return;
    }
  }
  throw new Error('not in 500 runs');
});
