import { expect, it } from 'vitest';
import type { Entry } from '../../../src/limpet/hub/frame.ts';
import type { Hub } from '../../../src/limpet/hub/hub.ts';
import type { Inflow } from '../../../src/limpet/hub/inflow.ts';
import type { Link } from '../../../src/limpet/hub/link.ts';
import { simulate } from './world.ts';

// Hubs that are broken on purpose: the simulator must notice each fault.

interface StreamsInsides {
  readonly inflows: Map<string, Inflow>;
  entries(link: Link, origin: { id: number; life: number }, entries: readonly Entry[]): void;
  subscribe(inflow: Inflow): void;
  serve(inflow: Inflow): void;
  start(inflow: Inflow, subscriber: object): void;
  readonly host: { lost(inflow: Inflow, count: number): void };
}

interface HubInsides {
  readonly host: { unbind(name: string): void };
  readonly losses: { add(count: number, origin: number): void };
  refusedByBus: () => void;
}

interface RequestsInsides {
  readonly pending: Map<number, object>;
  answered(origin: object, entry: Entry): void;
  answerLost(isLost: (key: string) => boolean): void;
}

const inside = (hub: Hub): HubInsides => hub as unknown as HubInsides;
const requestsOf = (hub: Hub): RequestsInsides => hub.requests as unknown as RequestsInsides;
const streamsOf = (hub: Hub): StreamsInsides => hub.streams as unknown as StreamsInsides;

const FAULTS: Record<string, (hub: Hub) => void> = {
  'a message is delivered again when it comes again': (hub) => {
    const streams = streamsOf(hub);
    const entries = streams.entries.bind(streams);
    streams.entries = (link, origin, all) => {
      const inflow = streams.inflows.get(`${origin.id}.${origin.life}`);
      const [first] = all;
      if (inflow?.upstream === link && !inflow.isAwaited && first !== undefined) {
        inflow.have = Math.min(inflow.have, first.n - 1);
      }
      entries(link, origin, all);
    };
  },
  'a name stays bound when its Replier has gone': (hub) => {
    inside(hub).host.unbind = () => {};
  },
  'a late Reply answers another Request': (hub) => {
    const insides = requestsOf(hub);
    const answered = insides.answered.bind(insides);
    insides.answered = (origin, entry) => {
      const [newest] = [...insides.pending.keys()].slice(-1);
      const isLate = !insides.pending.has(entry.answers) && newest !== undefined;
      answered(origin, isLate ? { ...entry, answers: newest } : entry);
    };
  },
  'nobody answers the Requests of a lost link': (hub) => {
    requestsOf(hub).answerLost = () => {};
  },
  'a Limpet that takes over has not listened before': (hub) => {
    hub.overheard = () => {};
  },
  'a stream goes on after a break where it is by now': (hub) => {
    const streams = streamsOf(hub);
    const subscribe = streams.subscribe.bind(streams);
    streams.subscribe = (inflow) => {
      inflow.hasBegun = false;
      subscribe(inflow);
    };
  },
  'a stream begins for a new subscriber without asking its origin for what was left out': (hub) => {
    const streams = streamsOf(hub);
    streams.serve = (inflow) => {
      for (const subscriber of inflow.subscribers.values()) {
        const isThere = inflow.hasBegun && !inflow.isAwaited && subscriber.next >= inflow.next;
        if (subscriber.isWaiting && isThere) streams.start(inflow, subscriber);
        else if (subscriber.isWaiting && inflow.upstream !== null && !inflow.isAwaited) {
          streams.subscribe(inflow);
        }
      }
    };
  },
  'what is lost is not told': (hub) => {
    streamsOf(hub).host.lost = () => {};
  },
  'more is told than is lost': (hub) => {
    const { losses } = inside(hub);
    const add = losses.add.bind(losses);
    losses.add = (count, origin) => add(count + 1, origin);
  },
  'what the bus refuses is not told': (hub) => {
    inside(hub).refusedByBus = () => {};
  },
  'nobody answers when the bus refuses a Reply': (hub) => {
    hub.replyRefused = () => {};
  },
  'a Limpet that was forgotten, and comes back, begins where its stream is by now': (hub) => {
    const { streams } = hub;
    const forget = streams.forget.bind(streams);
    streams.forget = (key) => {
      streams.inflows.delete(key);
      forget(key);
    };
  },
};

it.each(Object.entries(FAULTS))(
  'the simulator notices that %s',
  { timeout: 120_000 },
  (_fault, breakIt) => {
    const runs = 3000;
    for (let seed = 1; seed <= runs; seed++) {
      try {
        simulate(seed, breakIt);
      } catch (error) {
        expect(String(error)).not.toContain('TypeError');
        return;
      }
    }
    throw new Error(`not in ${runs} runs`);
  },
);
