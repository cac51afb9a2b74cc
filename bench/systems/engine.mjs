// The engine alone: the cost of routing, queues and the ledger, without promises, frames or copies of data.
import { ASK, TELL, versions } from './kbus.mjs';

/**
 * @import { Bus, BusKsock, KsockOwner, MessageBatch } from '../../dist/bus/index.js'
 * @import { Announcer, Ask, Hear, Place, System } from '../system.ts'
 */

const WANT_A_REPLY = 1;
/** The number of messages sent before they are read. */
const BATCH = 64;

/** @type {Bus | undefined} */
let bus;
/** The replier, and the listeners with their ears. @type {BusKsock | undefined} */
let answerer;
/** @type {{ ksock: BusKsock, hear: Hear }[]} */
const listeners = [];

const engine = () => import('../../dist/bus/index.js');

const silent = { queued() {}, answered() {}, roomMade() {} };

/** @param {KsockOwner} owner */
async function open(owner = silent) {
  const { Bus } = await engine();
  bus ??= new Bus();
  return bus.open(owner);
}

/** @type {System} */
export default {
  name: 'engine',
  title: 'KBUS, engine alone',
  kind: 'alone',
  over: 'one process',
  // Data is passed by reference, so 64 KiB of it cost what 64 bytes do.
  workloads: ['rtt', 'rtt64', '1to1', 'fan16'],
  how: (workload) =>
    workload.startsWith('rtt')
      ? 'send(), take(), send() and the answer'
      : `send() and take(), ${BATCH} at a time`,
  missing: () => undefined,
  versions,
  async answer() {
    answerer = await open();
    answerer.bind(ASK, true);
  },
  /** @returns {Promise<Ask>} */
  async ask() {
    /** @type {Hear[]} */
    const waiting = [];
    /** @type {{ token: number, batch: MessageBatch }[]} */
    let answered = [];
    const requester = await open({
      ...silent,
      answered: (token, batch) => answered.push({ token, batch }),
    });
    const { MessageBatch } = await engine();
    const replier = answerer;
    if (replier === undefined) throw new Error('the replier is not open');
    let isWorking = false;
    let next = 0;
    /** Loops until no Request is left, so that requests made within an answer don't recurse. */
    const work = () => {
      isWorking = true;
      for (;;) {
        const request = replier.take();
        if (request !== null) {
          const { bytes, dataAt, dataLength } = request;
          const reply = new MessageBatch(ASK, 0, request.from, bytes, dataAt, dataLength);
          reply.replyNetwork = request.idNetwork;
          reply.replySerial = request.idSerial;
          replier.send(reply);
        } else if (answered.length > 0) {
          const now = answered;
          answered = [];
          for (const { token, batch } of now) {
            waiting[token]?.(batch.bytes, batch.dataAt, batch.dataLength);
          }
        } else {
          break;
        }
      }
      isWorking = false;
    };
    return (data, done) => {
      const token = next++ % 64;
      waiting[token] = done;
      const request = new MessageBatch(ASK, WANT_A_REPLY, 0, data, 0, data.length);
      request.token = token;
      request.answersByToken = true;
      const result = requester.send(request);
      if (result < 0) throw new Error(`the engine refused a Request: ${result}`);
      if (!isWorking) work();
    };
  },
  /** @param {Place} _ @param {Hear} hear */
  async listen(_, hear) {
    const ksock = await open();
    ksock.bind(TELL, false);
    listeners.push({ ksock, hear });
  },
  /** @returns {Promise<Announcer>} */
  async announce() {
    const announcer = await open();
    const { MessageBatch } = await engine();
    const read = () => {
      for (const { ksock, hear } of listeners) {
        for (let batch = ksock.take(); batch !== null; batch = ksock.take()) {
          hear(batch.bytes, batch.dataAt, batch.dataLength);
        }
      }
    };
    let unread = 0;
    return {
      send(data) {
        const result = announcer.send(new MessageBatch(TELL, 0, 0, data, 0, data.length));
        if (result < 0) throw new Error(`the engine refused an Announcement: ${result}`);
        if (++unread === BATCH) {
          unread = 0;
          read();
        }
        return undefined;
      },
      async finish() {
        read();
        unread = 0;
      },
    };
  },
};
