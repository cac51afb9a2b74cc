// What one program does to a daemon and to others: nothing that is malformed, only greed.
import { Worker } from 'node:worker_threads';
import { Ksock } from '../dist/index.js';
import { DOORS } from './doors.mjs';
import {
  call,
  consume,
  credit,
  Flag,
  FrameKind,
  frame,
  Op,
  record,
  SendDetail,
  send,
  take,
  UNLIMITED,
  Wire,
} from './wire.mjs';

const MEBIBYTE = 1024 * 1024;

/** An attack in progress. */
class Attack {
  /**
   * @param {string} directory @param {number} scale  1: all of it
   * @param {() => void} prepared  called when the attack begins to go on until it is over
   */
  constructor(directory, scale, prepared) {
    this.prepared = prepared;
    this.directory = directory;
    this.scale = scale;
    this.isOver = false;
    /** What it keeps open. @type {unknown[]} */
    this.kept = [];
  }

  /** So many of something, of which a small attack does less. @param {number} all */
  some(all) {
    return Math.max(1, Math.round(all * this.scale));
  }

  /** @param {number} [bus] @param {number} [mode] */
  async wire(bus, mode) {
    const wire = await Wire.open(this.directory, bus, mode);
    this.kept.push(wire);
    return wire;
  }

  /** A connection whose queue has no limit. @param {number} [bus] */
  async hoarder(bus) {
    const wire = await this.wire(bus);
    wire.write(call(Op.MAX_MESSAGES, 1, UNLIMITED));
    return wire;
  }

  /** @param {import('../dist/index.js').KsockOptions} [options] */
  async ksock(options = {}) {
    const ksock = await Ksock.open(0, { directory: this.directory, ...options });
    this.kept.push(ksock);
    return ksock;
  }

  /** Binds many names as Listener. @param {Wire} wire @param {number} count @param {(at: number) => string} name */
  async bind(wire, count, name, replier = 0) {
    const before = wire.answers;
    for (let at = 0; at < count; at += 500) {
      const frames = [];
      for (let one = at; one < Math.min(count, at + 500); one++) {
        frames.push(call(Op.BIND, one + 1, replier, name(one)));
      }
      await wire.put(...frames);
    }
    await wire.answered(before + count);
  }

  /** Keeps so many threads busy until the attack is over. @param {number} threads */
  async work(threads) {
    for (let at = 0; at < threads; at++) this.kept.push(new Worker('for (;;);', { eval: true }));
    await this.again(() => new Promise((resolve) => setTimeout(resolve, 50)));
  }

  /** Does something again and again until the attack is over. @param {() => Promise<unknown>} what */
  async again(what) {
    this.prepared();
    while (!this.isOver) {
      await what();
      await new Promise(setImmediate);
    }
  }
}

/**
 * Its settings (of a daemon in a folder), and what it does: that is done (it will be done again, by another process), or
 * goes on until the attack is over.
 *
 * The times of a reference are not judged: they show what a witness waits though the daemon has nothing to do.
 *
 * @typedef {{ does: string, isReference?: true, settings?: string[] | ((directory: string) => string[]), run(attack: Attack): Promise<void> }} OneAttack
 */

/** @type {Record<string, OneAttack>} */
export const ATTACKS = {
  'same wildcard': {
    does: 'binds $.* 40,000 times, and sends 12,200 messages with ever new names',
    async run(attack) {
      const [binder, sender] = [await attack.wire(), await attack.wire()];
      await attack.bind(binder, attack.some(40_000), () => '$.*');
      for (let at = 0; at < attack.some(12_200); at += 100) {
        const records = Array.from({ length: 100 }, (_, one) => record(`$.New.n${at + one}`, 0));
        await sender.put(send(at, SendDetail.QUIET, records));
      }
    },
  },
  'copies of messages': {
    does: 'has 500 Ksocks with 130 binds each that all match, and sends frames of 500 messages',
    async run(attack) {
      const patterns = ['$.*', '$.%', '$.%.*', '$.A.*', '$.A.%', '$.%.%', '$.%.B', '$.A.B'];
      const listeners = [];
      for (let at = 0; at < attack.some(500); at++) {
        const wire = await attack.wire();
        wire.write(call(Op.MAX_MESSAGES, 1, 1));
        listeners.push(attack.bind(wire, 130, (one) => patterns[one % 8] ?? ''));
      }
      await Promise.all(listeners);
      const sender = await attack.wire();
      let token = 1;
      await attack.again(async () => {
        const one = record('$.A.B', 4);
        token += 500;
        await sender.put(send(token, SendDetail.QUIET, new Array(500).fill(one)));
      });
    },
  },
  'wildcards inside of names': {
    does: 'binds 100,000 names with % in all places, and sends ever new names that match them',
    async run(attack) {
      const binder = await attack.wire();
      const pattern = (/** @type {number} */ at) =>
        `$.${Array.from({ length: 17 }, (_, bit) => (((at >> bit) & 1) === 0 ? 'a' : '%')).join('.')}.*`;
      await attack.bind(binder, attack.some(100_000), pattern);
      const sender = await attack.wire();
      let at = 0;
      await attack.again(async () => {
        const name = `$.${new Array(17).fill('a').join('.')}.n${at++}`;
        await sender.put(send(at, SendDetail.QUIET, [record(name, 0)]));
      });
    },
  },
  'Requests with one id': {
    does: 'sends 150,000 Requests with the id of one Limpet, then their Replier closes',
    async run(attack) {
      const replier = await attack.hoarder();
      await attack.bind(replier, 1, () => '$.Silence', 1);
      const asker = await attack.hoarder();
      const request = record('$.Silence', 0, { flags: Flag.WANT_A_REPLY, network: 7, serial: 7 });
      for (let at = 0; at < attack.some(150_000); at += 100) {
        await asker.put(
          ...Array.from({ length: 100 }, (_, one) =>
            send(at + one + 1, SendDetail.ANSWERED, [request]),
          ),
        );
      }
      replier.socket.end();
    },
  },
  'a Replier with 200,000 Requests': {
    does: 'sends 200,000 Requests, of which half are read, then their Replier closes',
    async run(attack) {
      const replier = await attack.hoarder();
      await attack.bind(replier, 1, () => '$.Silence', 1);
      const asker = await attack.hoarder();
      const request = record('$.Silence', 0, { flags: Flag.WANT_A_REPLY });
      const all = attack.some(200_000);
      const detail = SendDetail.ANSWERED | SendDetail.QUIET;
      for (let at = 0; at < all; at += 100) {
        await asker.put(send(at + 1, detail, new Array(100).fill(request)));
      }
      for (let at = 0; at < all / 2; at += 1000) {
        await replier.put(...Array.from({ length: 1000 }, (_, one) => take(at + one + 1)));
      }
      await replier.until(FrameKind.TAKEN, 1);
      replier.socket.destroy();
      await asker.until(FrameKind.ANSWER, 1);
    },
  },
  'unbinds of a long queue': {
    does: 'has a queue of 500,000 messages, and unbinds 1,500 names with one message each',
    async run(attack) {
      const hoarder = await attack.hoarder();
      const sender = await attack.wire();
      await attack.bind(hoarder, 1501, (at) => `$.N${at}`);
      const one = record('$.N0', 0);
      for (let at = 0; at < attack.some(500_000); at++) {
        await sender.put(send(at + 1, SendDetail.QUIET, [one]));
      }
      for (let at = 1; at <= 1500; at++) {
        await sender.put(send(at, SendDetail.QUIET, [record(`$.N${at}`, 0)]));
      }
      for (let at = 1500; at > 0; at--) await hoarder.put(call(Op.UNBIND, at, 0, `$.N${at}`));
      await hoarder.until(FrameKind.RESULT, 3000);
    },
  },
  'a million bindings': {
    does: 'binds a million names, toggles the report switch, and closes',
    async run(attack) {
      const binder = await attack.wire();
      await attack.bind(binder, attack.some(1_000_000), (at) => `$.Many.n${at}`);
      const toggler = await attack.hoarder();
      const toggles = [call(Op.REPORT_REPLIER_BINDS, 2, 1), call(Op.REPORT_REPLIER_BINDS, 3, 0)];
      for (let at = 0; at < attack.some(1000); at++) await toggler.put(...toggles);
      binder.socket.destroy();
    },
  },
  'a frame that acknowledges 60,000': {
    does: 'does not acknowledge 20,000 urgent messages, and consumes 60,000 others one by one or all at once',
    async run(attack) {
      const reader = await attack.hoarder();
      await attack.bind(reader, 1, () => '$.N');
      const sender = await attack.wire();
      const others = attack.some(60_000);
      for (let at = 0; at < others; at++) {
        await sender.put(send(at + 1, SendDetail.QUIET, [record('$.N', 0)]));
      }
      reader.write(credit(others));
      await reader.until(FrameKind.PREFETCH, 1);
      const urgent = record('$.N', 0, { flags: Flag.URGENT });
      for (let at = 0; at < attack.some(20_000); at++) {
        await sender.put(send(at + 1, SendDetail.QUIET, [urgent]));
      }
      for (let at = 0; at < others / 2; at++) await reader.put(consume(1));
      await reader.put(consume(Math.floor(others / 2)));
    },
  },
  'Replies that are not read': {
    does: 'has 64 Requests answered with 16 MiB each, and never reads its socket',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const replier = await attack.ksock();
      const large = new Uint8Array(15 * MEBIBYTE);
      await replier.replier('$.Large', () => large, { concurrency: 1 });
      const asker = await attack.wire();
      asker.stop();
      const request = record('$.Large', 0, { flags: Flag.WANT_A_REPLY });
      for (let token = 1; token <= 64; token++)
        asker.write(send(token, SendDetail.ANSWERED, [request]));
    },
  },
  'TAKEs that are not read': {
    does: 'sends 64 TAKEs for 16 MiB each, and never reads its socket',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const taker = await attack.wire();
      await attack.bind(taker, 1, () => '$.Large');
      taker.stop();
      for (let token = 1; token <= 64; token++) taker.write(take(token));
      const sender = await attack.wire();
      const large = send(1, SendDetail.QUIET, [record('$.Large', 15 * MEBIBYTE)]);
      for (let at = 0; at < 64; at++) await sender.put(large);
    },
  },
  'half-sent frames': {
    does: 'sends nearly all of a frame of 16 MiB on each of 100 connections',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const large = send(1, 0, [record('$.Large', 15 * MEBIBYTE)]);
      for (let at = 0; at < attack.some(100); at++) {
        const wire = await attack.wire();
        await wire.put(large.subarray(0, large.length - 4));
      }
    },
  },
  'sends that wait': {
    does: 'makes a send of 16 MiB wait (ALL_OR_WAIT) on each of 100 connections',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const full = await attack.wire();
      full.write(call(Op.MAX_MESSAGES, 1, 1));
      await attack.bind(full, 1, () => '$.Full');
      const large = record('$.Full', 15 * MEBIBYTE, { flags: Flag.ALL_OR_WAIT });
      const frames = [
        send(1, SendDetail.QUIET, [record('$.Full', 0)]),
        send(2, SendDetail.WAIT, [large]),
      ];
      for (let at = 0; at < attack.some(100); at++) {
        const wire = await attack.wire();
        await wire.put(...frames);
      }
    },
  },
  'tiny messages in large reads': {
    does: 'keeps 10,000 messages without data, each received with 64 KiB that nobody gets',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const hoarder = await attack.hoarder();
      await attack.bind(hoarder, 1, () => '$.Tiny');
      const sender = await attack.wire();
      const tiny = send(1, SendDetail.QUIET, [record('$.Tiny', 0)]);
      const others = send(2, SendDetail.QUIET, [record('$.Nobody', 60_000)]);
      for (let at = 0; at < attack.some(10_000); at++) await sender.put(tiny, others);
    },
  },
  'new buses': {
    does: 'makes 100 buses, and fills a queue on each of them',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const maker = await attack.wire();
      for (let bus = 1; bus <= attack.some(100); bus++) {
        maker.write(call(Op.NEW_DEVICE, bus, 0));
        await maker.answered(bus);
        if (maker.refusals > 0) break;
        const wire = await attack.hoarder(bus);
        await attack.bind(wire, 1, () => '$.Full');
        const large = send(1, SendDetail.QUIET, [record('$.Full', MEBIBYTE)]);
        for (let at = 0; at < 20; at++) await wire.put(large);
      }
    },
  },
  'as many Ksocks as may come in': {
    does: 'opens as many Ksocks as it may, and fills the queue of each as far as it may',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const sender = await attack.wire();
      const large = (/** @type {string} */ name) =>
        send(1, SendDetail.QUIET, [record(name, 60_000)]);
      const small = (/** @type {string} */ name) => send(1, SendDetail.QUIET, [record(name, 1000)]);
      for (let at = 0; at < attack.some(4000); at++) {
        const wire = await attack.hoarder();
        if (wire.socket.destroyed) break;
        const name = `$.Full.n${at}`;
        await attack.bind(wire, 1, () => name);
        await sender.put(...new Array(20).fill(large(name)), ...new Array(100).fill(small(name)));
      }
    },
  },
  'five Ksocks that fill the bus': {
    does: 'fills the queues of five Ksocks, and goes on',
    settings: ['--max-memory', String(100 * MEBIBYTE)],
    async run(attack) {
      const sender = await attack.wire();
      for (let at = 0; at < 5; at++) {
        const wire = await attack.hoarder();
        await attack.bind(wire, 1, () => `$.Full.n${at}`);
      }
      await attack.again(async () => {
        for (let at = 0; at < 5; at++) {
          await sender.put(send(1, SendDetail.QUIET, [record(`$.Full.n${at}`, 100_000)]));
        }
      });
    },
  },
  'a report that is not read on': {
    does: 'asks for the first piece of a report, while others bind and unbind',
    async run(attack) {
      const binder = await attack.wire();
      await attack.bind(binder, attack.some(100_000), (at) => `$.Many.n${at}`);
      const asker = await attack.wire();
      for (let at = 0; at < 50; at++) asker.write(call(Op.BINDINGS, at + 1, 0));
      let at = 0;
      await attack.again(async () => {
        const frames = [];
        for (let one = 0; one < 200; one++, at++) {
          frames.push(call(Op.BIND, at, 0, `$.New.n${at}`), call(Op.UNBIND, at, 0, `$.New.n${at}`));
        }
        await binder.put(...frames);
      });
    },
  },
  'Requests that are given up': {
    does: 'has 100,000 Requests unread, and gives them up from the last to the first',
    async run(attack) {
      const replier = await attack.hoarder();
      await attack.bind(replier, 1, () => '$.Silence', 1);
      const asker = await attack.hoarder();
      const request = record('$.Silence', 0, { flags: Flag.WANT_A_REPLY });
      const all = attack.some(100_000);
      for (let at = 1; at <= all; at++) {
        await asker.put(send(at, SendDetail.ANSWERED | SendDetail.QUIET, [request]));
      }
      for (let at = all; at > 0; at--) await asker.put(call(Op.FORGET, 1_000_000 + at, at));
    },
  },
  'TAKEs that are cancelled': {
    does: 'has 65,000 TAKEs wait, and cancels them from the last to the first, again and again',
    async run(attack) {
      const taker = await attack.wire();
      const all = attack.some(65_000);
      await attack.again(async () => {
        for (let at = 1; at <= all; at += 1000) {
          await taker.put(...Array.from({ length: 1000 }, (_, one) => take(at + one)));
        }
        for (let at = all; at > 0; at -= 1000) {
          await taker.put(
            ...Array.from({ length: 1000 }, (_, one) => call(Op.CANCEL, 100_000, at - one)),
          );
        }
      });
    },
  },
  'Repliers that come and go': {
    does: 'has 200 Ksocks with 1,000 waiting Requests each, while a Replier binds and unbinds',
    async run(attack) {
      const replier = await attack.wire();
      replier.write(call(Op.MAX_MESSAGES, 1, 1));
      await attack.bind(replier, 1, () => '$.Full', 1);
      const request = record('$.Full', 0, { flags: Flag.WANT_A_REPLY });
      const detail = SendDetail.ANSWERED | SendDetail.QUIET | SendDetail.ROOM;
      for (let at = 0; at < attack.some(200); at++) {
        const asker = await attack.wire();
        await asker.put(send(1, detail, new Array(1000).fill(request)));
      }
      const other = await attack.wire();
      const both = [call(Op.BIND, 1, 1, '$.Other'), call(Op.UNBIND, 2, 1, '$.Other')];
      await attack.again(() => other.put(...both));
    },
  },
  'prefetching all at once': {
    does: 'has 500,000 messages in its queue, grants credit for all of them, and reads nothing',
    async run(attack) {
      const hoarder = await attack.hoarder();
      await attack.bind(hoarder, 1, () => '$.N');
      const sender = await attack.wire();
      const one = record('$.N', 100);
      for (let at = 0; at < attack.some(500_000); at++) {
        await sender.put(send(at + 1, SendDetail.QUIET, [one]));
      }
      hoarder.stop();
      hoarder.write(credit(UNLIMITED));
    },
  },
  'many connections at work': {
    does: 'sends from 1,000 connections to 2,000 listeners of each name, as fast as it can',
    async run(attack) {
      for (let at = 0; at < attack.some(125); at++) {
        const wire = await attack.wire();
        wire.write(call(Op.MAX_MESSAGES, 1, 1));
        await attack.bind(wire, 16, () => '$.Loud');
      }
      /** @type {Wire[]} */
      const senders = [];
      for (let at = 0; at < attack.some(1000); at++) senders.push(await attack.wire());
      const many = send(1, SendDetail.QUIET, new Array(20).fill(record('$.Loud', 8)));
      await attack.again(async () => {
        for (const sender of senders) if (sender.socket.writableLength === 0) sender.write(many);
      });
    },
  },
  'frames of many messages': {
    does: 'sends frames of 16,000 messages with other names each, to nobody, from 20 connections',
    async run(attack) {
      /** @type {Wire[]} */
      const senders = [];
      for (let at = 0; at < attack.some(20); at++) senders.push(await attack.wire());
      let at = 0;
      await attack.again(async () => {
        const records = Array.from({ length: 16_000 }, () => record(`$.New.n${at++}`, 0));
        const many = send(1, SendDetail.QUIET, records);
        await Promise.all(senders.map((sender) => sender.put(many)));
      });
    },
  },
  'unknown frames': {
    does: 'connects and sends what is no frame of KBUS, as often as it can',
    async run(attack) {
      await attack.again(async () => {
        const wires = await Promise.all(
          Array.from({ length: 20 }, () => Wire.open(attack.directory)),
        );
        for (const wire of wires) {
          wire.write(frame(99, 0, 0, 0, []));
          wire.socket.end();
        }
      });
    },
  },
  ...DOORS,
  'only other work': {
    does: 'leaves the daemon alone, and keeps two CPUs busy: what others do to a witness anyway',
    async run(attack) {
      await attack.work(2);
    },
  },
  'much other work': {
    does: 'leaves the daemon alone, and keeps six threads busy: as many as a greedy program, a daemon and their collectors of garbage may have',
    isReference: true,
    async run(attack) {
      await attack.work(6);
    },
  },
};

export { Attack };
