import { describe, expect, it } from 'vitest';
import type { Bus, BusKsock, MessageBatch } from '../../src/bus/index.ts';
import type { RequestRecord } from '../../src/bus/ledger.ts';
import type { Binding } from '../../src/bus/routes.ts';
import type { FramePort } from '../../src/client/ports/frame-port.ts';
import type { ReconnectingPort } from '../../src/client/ports/reconnecting-port.ts';
import type { Session } from '../../src/daemon/session.ts';
import type { Message } from '../../src/message/message.ts';
import { keptRuns } from './kept.ts';
import { replay, simulate } from './simulate.ts';
import type { Sabotage } from './world.ts';

// Engines and sessions that are broken on purpose. If the simulator does not notice, it is worth nothing.

interface BusInsides {
  giveStatus(record: RequestRecord, status: MessageBatch): void;
  giveAnswer(record: RequestRecord, answer: MessageBatch): void;
  enqueue(ksock: BusKsock, batch: MessageBatch, binding: Binding | null, atFront: boolean): void;
  noteRoom(ksock: BusKsock): void;
}

interface SessionInsides {
  consume(count: number): void;
  unlend(): void;
  flushRun(): void;
  serveTakes(): void;
  cancel(token: number): void;
  roomMade(): void;
  drained(): void;
  tellSent(batch: MessageBatch, result: number): void;
}

interface PortInsides {
  readonly pendingReads: { readonly unclaimed: { push(message: Message): number } };
  cancel(token: number): void;
}

const inBus = (breakIt: (insides: BusInsides, bus: Bus) => void): Sabotage => ({
  bus: (bus) => breakIt(bus as unknown as BusInsides, bus),
});

const inSession = (breakIt: (insides: SessionInsides) => void): Sabotage => ({
  session: (session: Session) => breakIt(session as unknown as SessionInsides),
});

const inPort = (breakIt: (insides: PortInsides) => void): Sabotage => ({
  port: (port: FramePort) => breakIt(port as unknown as PortInsides),
});

/** Breaks each Ksock as it is opened. */
const inKsocks = (breakIt: (ksock: BusKsock) => void): Sabotage => ({
  bus: (bus) => {
    const open = bus.open.bind(bus);
    bus.open = (owner, options) => {
      const ksock = open(owner, options);
      breakIt(ksock);
      return ksock;
    };
  },
});

const CANARIES: Record<string, Sabotage> = {
  'an engine that loses a Status': inBus((insides) => {
    const giveStatus = insides.giveStatus.bind(insides);
    insides.giveStatus = (record, status) => {
      if (status.name !== '$.KBUS.Replier.GoneAway') giveStatus(record, status);
    };
  }),
  'an engine that answers twice': inBus((insides) => {
    const giveAnswer = insides.giveAnswer.bind(insides);
    insides.giveAnswer = (record, answer) => {
      giveAnswer(record, answer);
      giveAnswer(record, answer);
    };
  }),
  'an engine that swaps two messages': inBus((insides) => {
    const enqueue = insides.enqueue.bind(insides);
    insides.enqueue = (ksock, batch, binding, atFront) =>
      enqueue(ksock, batch, binding, atFront || ksock.queue.length === 1);
  }),
  'an engine that leaks the place of a Status': inBus((insides) => {
    const giveStatus = insides.giveStatus.bind(insides);
    insides.giveStatus = (record, status) => {
      record.requester.outstanding.size++;
      giveStatus(record, status);
    };
  }),
  'an engine that lets one too many into a queue': inKsocks((ksock) => {
    Object.defineProperty(ksock, 'isFull', { get: () => ksock.occupied > ksock.limit });
  }),
  'an engine that repeats what comes once only': inBus((insides) => {
    const enqueue = insides.enqueue.bind(insides);
    insides.enqueue = (ksock, batch, binding, atFront) => {
      enqueue(ksock, batch, binding, atFront);
      ksock.queuedSerial = 0;
    };
  }),
  'an engine that does not say that there is room': inBus((insides, bus) => {
    insides.noteRoom = () => {};
    const { take, takeMany } = bus;
    bus.take = (ksock, at) => {
      const { blocking } = ksock;
      Object.defineProperty(ksock, 'blocking', { value: new Set(), configurable: true });
      const batch = take.call(bus, ksock, at);
      Object.defineProperty(ksock, 'blocking', { value: blocking, configurable: true });
      return batch;
    };
    bus.takeMany = takeMany;
  }),
  'a session that forgets what was consumed': inSession((insides) => {
    insides.consume = () => {};
  }),
  'a session that lends the same again after a RECALL': inSession((insides) => {
    insides.unlend = () => {};
  }),
  'a session that forgets to cancel': inSession((insides) => {
    insides.cancel = () => {};
  }),
  'a session that does not try again when there is room': inSession((insides) => {
    insides.roomMade = () => {};
  }),
  'a session that hears no more of a client that let much lie': inSession((insides) => {
    insides.drained = () => {};
  }),
  'a session that says that a refused send was done': inSession((insides) => {
    const tellSent = insides.tellSent.bind(insides);
    insides.tellSent = (batch, result) => tellSent(batch, result === -16 ? 0 : result);
  }),
  'a client that loses what comes for a wait that was over': inPort(({ pendingReads }) => {
    pendingReads.unclaimed.push = () => 0;
  }),
  'a client that forgets to cancel': inPort((insides) => {
    insides.cancel = () => {};
  }),
  'a client that answers what it was asked on a connection that is lost': {
    ksock: (ksock) => {
      (ksock as unknown as { reconnecting: ReconnectingPort }).reconnecting.isOver = () => false;
    },
  },
  'a client that does not try again to come back': {
    ksock: (ksock) => {
      const { reconnecting } = ksock as unknown as {
        reconnecting: { retryIn(delay: number): void };
      };
      const retryIn = reconnecting.retryIn.bind(reconnecting);
      let isFirst = true;
      reconnecting.retryIn = (delay) => {
        if (isFirst) retryIn(delay);
        isFirst = false;
      };
    },
  },
};

const RUNS = 400;

describe('the simulator notices', () => {
  it.for(Object.entries(CANARIES))('%s', { timeout: 300_000 }, async ([, sabotage]) => {
    for (const run of keptRuns()) if ((await replay(run, sabotage)) !== null) return;
    for (let seed = 1; seed <= RUNS; seed++) {
      const { failed } = await simulate(seed, sabotage);
      // What fails with everything whole doesn't count.
      if (failed !== null && (await simulate(seed)).failed === null) return;
    }
    expect.fail(`not noticed in ${RUNS} runs`);
  });
});
