import type fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, type MessageBatch } from '../../src/bus/index.ts';
import type { KsockState } from '../../src/bus/ksock-state.ts';
import type { Queue } from '../../src/bus/queue.ts';
import type { Queueing } from '../../src/bus/queueing.ts';
import type { RequestRecord } from '../../src/bus/requests.ts';
import type { Route } from '../../src/bus/routes.ts';
import { Errno } from '../../src/message/errno.ts';
import type { Sequence } from './operations.ts';
import { findFailing } from './property.ts';
import { anySequence, crowdedSequence, repeatedSequence, waitingSequence } from './sequences.ts';

// Engines that are broken on purpose. If the naive model does not notice, it is no second opinion.

/** What is private in the parts of a Bus, for breaking them. */
interface Insides {
  queueing: Pick<Queueing, 'giveAnswer' | 'enqueue'> & {
    giveStatus(record: RequestRecord, status: MessageBatch): void;
  };
  givingUp: { takeBack(queue: Queue, record: RequestRecord): boolean };
  routes: { forget(name: string): void; find(name: string): Route<KsockState> };
}

/** Breaks a bus; what it returns is done to each new Ksock. */
type Break = (bus: Bus, insides: Insides) => ((ksock: BusKsock) => void) | void;

function broken(breakIt: Break): (settings: ConstructorParameters<typeof Bus>[0]) => Bus {
  return (settings) => {
    const bus = new Bus(settings);
    const breakKsock = breakIt(bus, bus as unknown as Insides);
    const open = bus.open.bind(bus);
    bus.open = (owner, options) => {
      const ksock = open(owner, options);
      breakKsock?.(ksock);
      return ksock;
    };
    return bus;
  };
}

/** Replaces a getter of a Ksock. */
function redefine(ksock: BusKsock, name: 'isFull' | 'occupied', get: () => unknown): void {
  Object.defineProperty(ksock, name, { get });
}

const CANARIES: Record<string, { breakIt: Break; by: fc.Arbitrary<Sequence>; within: number }> = {
  'loses the Status for what was read and not answered': {
    by: anySequence,
    within: 1500,
    breakIt: (_bus, { queueing }) => {
      const giveStatus = queueing.giveStatus.bind(queueing);
      queueing.giveStatus = (record, status) => {
        if (status.name !== '$.KBUS.Replier.Ignored') giveStatus(record, status);
      };
    },
  },
  'leaves what was given up to be carried out': {
    by: anySequence,
    within: 1000,
    breakIt: (_bus, { givingUp }) => {
      givingUp.takeBack = () => false;
    },
  },
  'takes back what the program of the Replier was shown': {
    by: anySequence,
    within: 1500,
    breakIt: () => (ksock) => {
      const { queue } = ksock;
      const findRequest = queue.findRequest.bind(queue);
      queue.findRequest = (request) => {
        queue.unmark();
        return findRequest(request);
      };
    },
  },
  'refuses answers for a maximum that was lowered since': {
    by: anySequence,
    within: 2000,
    breakIt: (bus) => {
      bus.admission.maxReplySize = () => bus.maxMessageSize(0);
    },
  },
  'lets every Reply be as large as it likes': {
    by: anySequence,
    within: 2000,
    breakIt: (bus) => {
      bus.admission.maxReplySize = () => bus.maxMessageSize(1);
    },
  },
  'answers twice': {
    by: anySequence,
    within: 300,
    breakIt: (_bus, { queueing }) => {
      const giveAnswer = queueing.giveAnswer.bind(queueing);
      queueing.giveAnswer = (record, answer) => {
        giveAnswer(record, answer);
        giveAnswer(record, answer);
      };
    },
  },
  'lets anybody answer': {
    by: anySequence,
    within: 1500,
    breakIt: () => (ksock) => {
      const { outstanding } = ksock;
      outstanding.find = (network, serial) =>
        outstanding
          .all()
          .find((record) => record.network === network && record.serial === serial) ?? null;
    },
  },
  'ends what is unread for what was read': {
    by: repeatedSequence,
    within: 8000,
    breakIt: () => (ksock) => {
      const { outstanding } = ksock;
      outstanding.find = (network, serial, replier) =>
        outstanding
          .all()
          .find(
            (record) =>
              record.network === network && record.serial === serial && record.replier === replier,
          ) ?? null;
    },
  },
  'reads an urgent Request after the listener’s copy': {
    by: anySequence,
    within: 3000,
    breakIt: (_bus, { queueing }) => {
      const enqueue = queueing.enqueue.bind(queueing);
      queueing.enqueue = (ksock, batch, binding, atFront) =>
        enqueue(ksock, batch, binding, atFront && !binding?.replier);
    },
  },
  'leaks the place that a Status was held for': {
    by: anySequence,
    within: 1000,
    breakIt: (_bus, { queueing }) => {
      const giveStatus = queueing.giveStatus.bind(queueing);
      queueing.giveStatus = (record, status) => {
        record.requester.outstanding.size++;
        giveStatus(record, status);
      };
    },
  },
  'lets one too many into a queue': {
    by: anySequence,
    within: 300,
    breakIt: () => (ksock) => redefine(ksock, 'isFull', () => ksock.occupied > ksock.limit),
  },
  'holds no place for a Request that waits': {
    by: waitingSequence,
    within: 500,
    breakIt: () => (ksock) =>
      redefine(ksock, 'occupied', () => ksock.queue.length + ksock.outstanding.size),
  },
  'forgets what once-only must not repeat': {
    by: anySequence,
    within: 2000,
    breakIt: (_bus, { queueing }) => {
      const enqueue = queueing.enqueue.bind(queueing);
      queueing.enqueue = (ksock, batch, binding, atFront) => {
        enqueue(ksock, batch, binding, atFront);
        if (binding?.replier === false) ksock.queuedSerial = 0;
      };
    },
  },
  'keeps the oldest copy for once-only': {
    by: anySequence,
    within: 3000,
    breakIt: (_bus, { routes }) => {
      const find = routes.find.bind(routes);
      routes.find = (name) => {
        const route = find(name);
        return { ...route, listeners: [...route.listeners].reverse() };
      };
    },
  },
  'pushes existing bindings only when reports were off': {
    by: anySequence,
    within: 3000,
    breakIt: () => (ksock) => {
      const report = ksock.reportReplierBinds.bind(ksock);
      ksock.reportReplierBinds = (value) =>
        value === 1 && report(0xffff_ffff) === 1 ? 1 : report(value);
    },
  },
  'drops the Replier’s copy for once-only': {
    by: repeatedSequence,
    within: 2000,
    breakIt: (_bus, { queueing }) => {
      const enqueue = queueing.enqueue.bind(queueing);
      queueing.enqueue = (ksock, batch, binding, atFront) => {
        const { idNetwork, idSerial } = batch;
        const last = ksock.queuedNetwork === idNetwork && ksock.queuedSerial === idSerial;
        if (!ksock.onlyOnce || !last) enqueue(ksock, batch, binding, atFront);
      };
    },
  },
  'does not say that there is room': {
    by: waitingSequence,
    within: 500,
    breakIt: ({ room }) => {
      room.noteRoom = () => {};
    },
  },
  'tells only those who wait for the queue of who left': {
    by: waitingSequence,
    within: 1500,
    breakIt: ({ room }) => {
      room.tellConcerned = (ksock) => room.tellAll(ksock.blocking);
    },
  },
  'throws the waiting message away': {
    by: waitingSequence,
    within: 500,
    breakIt: ({ delivery }) => {
      const send = delivery.send.bind(delivery);
      delivery.send = (sender, batch) => {
        const result = send(sender, batch);
        if (result === -Errno.EALREADY) delivery.discard(sender);
        return result;
      };
    },
  },
  'prefers the Replier with the shortest prefix': {
    by: anySequence,
    within: 2000,
    breakIt: (bus, { routes }) => {
      const find = routes.find.bind(routes);
      routes.find = (name) => {
        const route = find(name);
        const shortest = bus.routes.replierOf('$.*');
        const wild = route.replier?.name.endsWith('*') ?? false;
        return wild && shortest !== null ? { ...route, replier: shortest } : route;
      };
    },
  },
  'goes on with a route that was': {
    by: anySequence,
    within: 300,
    breakIt: (_bus, { routes }) => {
      routes.forget = () => {};
    },
  },
  'uses serial 0': {
    by: anySequence,
    within: 1000,
    breakIt: (bus) => {
      bus.takeSerials = () => {
        const serial = bus.nextSerial;
        bus.nextSerial = (serial + 1) >>> 0;
        return serial;
      };
    },
  },
  'says first that what was read first was ignored': {
    by: anySequence,
    within: 3000,
    breakIt: () => (ksock) => {
      const { unreplied } = ksock;
      const newestFirst = unreplied.newestFirst.bind(unreplied);
      unreplied.newestFirst = () => newestFirst().reverse();
    },
  },
  'binds though a listener to binds has a full queue': {
    by: anySequence,
    within: 2000,
    breakIt: ({ bindReports }) => {
      const reportBind = bindReports.reportBind.bind(bindReports);
      bindReports.reportBind = (isBind, binder, name) =>
        reportBind(isBind, binder, name) || !isBind;
    },
  },
  'holds one event too many': {
    by: crowdedSequence,
    within: 100,
    breakIt: ({ bindReports }) => {
      const reportLoss = bindReports.reportLoss.bind(bindReports);
      bindReports.reportLoss = (binder, name) => {
        bindReports.heldEvents--;
        reportLoss(binder, name);
        bindReports.heldEvents++;
      };
    },
  },
  'never lets go of a held event': {
    by: crowdedSequence,
    within: 30,
    breakIt: ({ bindReports }) => {
      bindReports.release = () => {};
    },
  },
};

describe('the naive model notices an engine that', () => {
  it.for(Object.entries(CANARIES))('%s', { timeout: 600_000 }, ([, { breakIt, by, within }]) => {
    const failed = findFailing(by, within, { make: broken(breakIt), endOnFailure: true });
    expect(failed, `not noticed in ${within} sequences`).not.toBeNull();
  });
});
