import { describe, expect, it } from 'vitest';
import type { Bus, BusKsock, MessageBatch } from '../../src/bus/index.ts';
import type { Queueing } from '../../src/bus/queueing.ts';
import type { RequestRecord } from '../../src/bus/requests.ts';
import { COSTS } from '../../src/bus/settings.ts';
import type { FramePort } from '../../src/client/ports/frame-port.ts';
import type { ReconnectingPort } from '../../src/client/ports/reconnecting-port.ts';
import type { CallParts } from '../../src/daemon/calls.ts';
import type { Chunks } from '../../src/daemon/chunks.ts';
import type { Inbox } from '../../src/daemon/inbox.ts';
import type { Session, SessionHost } from '../../src/daemon/session.ts';
import type { Message } from '../../src/message/message.ts';
import { keptRuns } from './kept.ts';
import type { Sabotage } from './seat.ts';
import { replay, simulate } from './simulate.ts';

// Engines and sessions that are broken on purpose: the simulator must notice each fault.

type BusInsides = Pick<Queueing, 'giveAnswer' | 'enqueue'> & {
  giveStatus(record: RequestRecord, status: MessageBatch): void;
};

interface SessionInsides {
  open(mode: 'r' | 'rw', pid: number): CallParts;
}

interface PortInsides {
  readonly pendingReads: { readonly unclaimed: { push(message: Message): number } };
  cancel(token: number): void;
}

const inBus = (breakIt: (insides: BusInsides, bus: Bus) => void): Sabotage => ({
  bus: (bus) => breakIt(bus.queueing as unknown as BusInsides, bus),
});

const inSession = (breakIt: (session: Session) => void): Sabotage => ({ session: breakIt });

/** Breaks the parts of a session, which exist after HELLO. */
const inParts = (breakIt: (parts: CallParts) => void): Sabotage =>
  inSession((session) => {
    const insides = session as unknown as SessionInsides;
    const open = insides.open.bind(insides);
    insides.open = (mode, pid) => {
      const parts = open(mode, pid);
      breakIt(parts);
      return parts;
    };
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
  'an engine that accepts two Replies to a Request': inBus((insides) => {
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
  'an engine that leaks the place held for a Status': inBus((insides) => {
    const giveStatus = insides.giveStatus.bind(insides);
    insides.giveStatus = (record, status) => {
      record.requester.outstanding.size++;
      giveStatus(record, status);
    };
  }),
  'an engine that accepts one message too many in a queue': inKsocks((ksock) => {
    Object.defineProperty(ksock, 'isFull', { get: () => ksock.occupied > ksock.limit });
  }),
  'an engine that ignores once-only': inBus((insides) => {
    const enqueue = insides.enqueue.bind(insides);
    insides.enqueue = (ksock, batch, binding, atFront) => {
      enqueue(ksock, batch, binding, atFront);
      ksock.queuedSerial = 0;
    };
  }),
  'an engine that does not wake waiting sends': inBus((_insides, { reading, room }) => {
    room.noteRoom = () => {};
    const take = reading.take.bind(reading);
    reading.take = (ksock, at) => {
      const { blocking } = ksock;
      Object.defineProperty(ksock, 'blocking', { value: new Set(), configurable: true });
      const batch = take(ksock, at);
      Object.defineProperty(ksock, 'blocking', { value: blocking, configurable: true });
      return batch;
    };
  }),
  'an engine that never counts an unbound name as free': inKsocks((ksock) => {
    const hold = ksock.hold.bind(ksock);
    ksock.hold = (bytes) => {
      if (bytes >= 0 || bytes <= -COSTS.binding * 2) hold(bytes);
    };
  }),
  'a session that counts sends that no longer wait': inParts(({ ksock }) => {
    ksock.release = () => {};
  }),
  'a session that goes on only with the frame that its turn ended with': inSession((session) => {
    const goOn = session.goOn.bind(session);
    session.goOn = () => {
      goOn();
      return true;
    };
  }),
  'a session that loses what it receives when its turn is over': inSession((session) => {
    const { inbox } = session as unknown as { inbox: Inbox };
    inbox.goOn = () => {
      inbox.isBehind = false;
    };
  }),
  'a session that forgets what it has not handled when its memory is used again': inSession(
    (session) => {
      session.refersTo = () => false;
    },
  ),
  'memory that is used again while messages wait in it': inSession((session) => {
    const { host } = session as unknown as { host: SessionHost };
    (host.chunks as Chunks).at = () => ({ isUnused: true });
  }),
  'a session that forgets consumed messages': inParts(({ prefetcher }) => {
    prefetcher.consume = () => {};
  }),
  'a session that prefetches read messages again after a RECALL': inParts(({ prefetcher }) => {
    prefetcher.recall = () => {};
  }),
  'a session that forgets to cancel': inParts(({ reads }) => {
    reads.cancel = () => true;
  }),
  'a session that does not retry when a slot is free': inSession((session) => {
    session.roomMade = () => {};
  }),
  'a session that never resumes reading after a backlog': inSession((session) => {
    session.drained = () => {};
  }),
  'a session that acknowledges a refused send': inParts(({ acknowledgements }) => {
    const done = acknowledgements.done.bind(acknowledgements);
    acknowledgements.done = (batch, result) => done(batch, result === -16 ? 0 : result);
  }),
  'a client that loses a message for a wait that has ended': inPort(({ pendingReads }) => {
    pendingReads.unclaimed.push = () => 0;
  }),
  'a client that forgets to cancel': inPort((insides) => {
    insides.cancel = () => {};
  }),
  'a client that answers a Request of a lost connection': {
    ksock: (ksock) => {
      (ksock as unknown as { reconnecting: ReconnectingPort }).reconnecting.isOver = () => false;
    },
  },
  'a client that does not retry to reconnect': {
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
      // A run that fails without the fault doesn't count.
      if (failed !== null && (await simulate(seed)).failed === null) return;
    }
    expect.fail(`not noticed in ${RUNS} runs`);
  });
});
