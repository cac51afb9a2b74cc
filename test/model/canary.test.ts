import type fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, type MessageBatch } from '../../src/bus/index.ts';
import type { KsockState } from '../../src/bus/ksock-state.ts';
import type { Queue } from '../../src/bus/queue.ts';
import type { Queueing } from '../../src/bus/queueing.ts';
import type { RequestRecord } from '../../src/bus/requests.ts';
import type { Route } from '../../src/bus/routes.ts';
import { Errno } from '../../src/message/errno.ts';
import { allOf } from '../support/outstanding.ts';
import type { Sequence } from './operations.ts';
import { findFailing } from './property.ts';
import { anySequence, crowdedSequence, repeatedSequence, waitingSequence } from './sequences.ts';

// Engines that are broken on purpose: the naive model must notice each fault.

/** The private parts of a Bus, to break them. */
interface Insides {
  queueing: Pick<Queueing, 'giveAnswer' | 'enqueue'> & {
    giveStatus(record: RequestRecord, status: MessageBatch): void;
  };
  givingUp: { takeBack(queue: Queue, record: RequestRecord): boolean };
  routes: { forget(name: string): void; find(name: string): Route<KsockState> };
}

/** Breaks a bus; the returned function breaks each new Ksock. */
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
function redefine(ksock: BusKsock, name: 'occupied', get: () => unknown): void {
  Object.defineProperty(ksock, name, { get });
}

const CANARIES: Record<string, { breakIt: Break; by: fc.Arbitrary<Sequence>; within: number }> = {
  'loses the Status for a Request that was read and not answered': {
    by: anySequence,
    within: 1500,
    breakIt: (_bus, { queueing }) => {
      const giveStatus = queueing.giveStatus.bind(queueing);
      queueing.giveStatus = (record, status) => {
        if (status.name !== '$.KBUS.Replier.Ignored') giveStatus(record, status);
      };
    },
  },
  'leaves a forgotten Request in the Replier’s queue': {
    by: anySequence,
    within: 1000,
    breakIt: (_bus, { givingUp }) => {
      givingUp.takeBack = () => false;
    },
  },
  'withdraws a Request that was prefetched for its Replier': {
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
  'applies a lowered maximum to Replies to accepted Requests': {
    by: anySequence,
    within: 2000,
    breakIt: (bus) => {
      bus.admission.maxReplySize = () => bus.maxMessageSize(0);
    },
  },
  'accepts Replies of any size': {
    by: anySequence,
    within: 2000,
    breakIt: (bus) => {
      bus.admission.maxReplySize = () => bus.maxMessageSize(1);
    },
  },
  'accepts two Replies to a Request': {
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
  'accepts a Reply of any Ksock': {
    by: anySequence,
    within: 1500,
    breakIt: () => (ksock) => {
      const { outstanding } = ksock;
      outstanding.find = (network, serial) =>
        allOf(outstanding).find(
          (record) => record.network === network && record.serial === serial,
        ) ?? null;
    },
  },
  'ends an unread Request instead of the read one with its id': {
    by: repeatedSequence,
    within: 8000,
    breakIt: () => (ksock) => {
      const { outstanding } = ksock;
      outstanding.find = (network, serial, replier) =>
        allOf(outstanding).find(
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
  'leaks the place held for a Status': {
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
  'accepts one message too many in a queue': {
    by: anySequence,
    within: 300,
    breakIt: () => (ksock) => Object.assign(ksock, { takes: () => ksock.occupied <= ksock.limit }),
  },
  'holds no place for the Reply to a waiting Request': {
    by: waitingSequence,
    within: 500,
    breakIt: () => (ksock) =>
      redefine(ksock, 'occupied', () => ksock.queue.length + ksock.outstanding.size),
  },
  'forgets the last message id for once-only': {
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
  'reports existing bindings only if reports were off': {
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
  'does not wake waiting sends': {
    by: waitingSequence,
    within: 500,
    breakIt: ({ room }) => {
      room.noteRoom = () => {};
    },
  },
  'wakes only the sends that wait for the queue of the closed Ksock': {
    by: waitingSequence,
    within: 1500,
    breakIt: ({ room }) => {
      room.tellConcerned = (ksock) => room.tellAll(ksock.blocking);
    },
  },
  'drops the waiting message': {
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
  'keeps an outdated route': {
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
  'sends Ignored for the first read Request first': {
    by: anySequence,
    within: 3000,
    breakIt: () => (ksock) => {
      const { unreplied } = ksock;
      const add = unreplied.add.bind(unreplied);
      unreplied.add = (record) => {
        const first = [...unreplied].at(-1);
        if (first === undefined) return add(record);
        first.older = record;
        record.newer = first;
        unreplied.size++;
      };
    },
  },
  'binds although a listener to binds has a full queue': {
    by: anySequence,
    within: 2000,
    breakIt: ({ bindReports }) => {
      const reportBind = bindReports.reportBind.bind(bindReports);
      bindReports.reportBind = (isBind, binder, name) =>
        reportBind(isBind, binder, name) || !isBind;
    },
  },
  'holds one bind event too many': {
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
  'never forgets a held event': {
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
