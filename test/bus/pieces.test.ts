import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, MessageBatch } from '../../src/bus/index.ts';
import { Memory } from '../../src/bus/memory.ts';
import { COSTS } from '../../src/bus/settings.ts';
import { Work } from '../../src/bus/work.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { holds } from '../model/property.ts';

// Long work in pieces (spec 1 §14.2): what follows from the end of a Ksock, of a binding, and of a full queue.

const NAMES = ['$.A', '$.B', '$.C.D'];
const BINDABLE = [...NAMES, '$.*', '$.C.%', '$.KBUS.ReplierBindEvent'];

type Deed =
  | {
      do: 'open' | 'close' | 'take' | 'reply' | 'forget' | 'limit' | 'report' | 'resend';
      who: number;
    }
  | { do: 'bind' | 'unbind'; who: number; name: string; replier: boolean }
  | { do: 'send'; who: number; name: string; request: boolean; waits: boolean }
  | { do: 'go on' };

const who = fc.nat(5);
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('open', 'close', 'take', 'reply', 'forget', 'limit', 'report', 'resend'),
      who,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('bind', 'bind', 'unbind'),
      who,
      name: fc.constantFrom(...BINDABLE),
      replier: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send'),
      who,
      name: fc.constantFrom(...NAMES),
      request: fc.boolean(),
      waits: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('go on') }) },
) as fc.Arbitrary<Deed>;

/** A bus with programs that do what the deeds say. */
class Stage {
  readonly bus: Bus;
  private readonly work: Work;
  readonly ksocks: BusKsock[] = [];
  /** What each Ksock read, by its id. */
  readonly heard = new Map<number, string[]>();
  /** Accepted Requests by their token, and how many answers each has got. */
  readonly answers = new Map<number, number>();
  private readonly toAnswer = new Map<BusKsock, MessageBatch[]>();
  private readonly tokens = new Map<BusKsock, number[]>();
  private lastToken = 0;

  constructor(steps?: number) {
    this.work = new Work(steps);
    this.bus = new Bus({
      maxMessages: 20,
      common: { memory: new Memory(10_000_000), names: new NameNumbers(), work: this.work },
    });
  }

  private open(): void {
    const heard: string[] = [];
    const ksock = this.bus.open({
      queued: () => {},
      answered: (token, { name }) => {
        this.answers.set(token, (this.answers.get(token) ?? 0) + 1);
        heard.push(`${token} ${name}`);
      },
      roomMade: () => void ksock.poll(),
    });
    this.heard.set(ksock.id, heard);
    this.toAnswer.set(ksock, []);
    this.tokens.set(ksock, []);
    this.ksocks.push(ksock);
  }

  do(deed: Deed): void {
    this.work.begin();
    if (deed.do === 'go on') {
      this.work.goOn();
      return;
    }
    if (deed.do === 'open' || this.ksocks.length === 0) {
      if (this.ksocks.length < 6) this.open();
      return;
    }
    const ksock = this.ksocks[deed.who % this.ksocks.length] as BusKsock;
    const toAnswer = this.toAnswer.get(ksock) ?? [];
    switch (deed.do) {
      case 'close':
        this.ksocks.splice(this.ksocks.indexOf(ksock), 1);
        // Nobody waits for these answers any more.
        for (const token of this.tokens.get(ksock) ?? []) this.answers.delete(token);
        ksock.close();
        break;
      case 'bind':
        ksock.bind(deed.name, deed.replier);
        break;
      case 'unbind':
        ksock.unbind(deed.name, deed.replier);
        break;
      case 'send':
        this.send(ksock, deed.name, deed.request, deed.waits);
        break;
      case 'take': {
        const batch = ksock.take();
        if (batch === null) break;
        this.heard.get(ksock.id)?.push(`${batch.name} [${batch.idSerial}] from ${batch.from}`);
        if (ksock.tookRequest) toAnswer.push(batch);
        break;
      }
      case 'reply': {
        const request = toAnswer.shift();
        if (request === undefined) break;
        const reply = new MessageBatch(request.name, 0, request.from, new Uint8Array(4), 0, 4);
        reply.replySerial = request.idSerial;
        ksock.send(reply);
        break;
      }
      case 'forget': {
        const token = this.tokens.get(ksock)?.shift();
        if (token === undefined || this.answers.get(token) !== 0) break;
        ksock.forget(token);
        this.answers.delete(token);
        break;
      }
      case 'limit':
        ksock.maxMessages(ksock.limit === 2 ? 20 : 2);
        break;
      case 'report':
        ksock.reportReplierBinds(1);
        break;
      case 'resend':
        ksock.resend();
        break;
    }
  }

  private send(ksock: BusKsock, name: string, isRequest: boolean, waits: boolean): void {
    const flags = (isRequest ? Flag.WANT_A_REPLY : 0) | (waits ? Flag.ALL_OR_WAIT : 0);
    const batch = new MessageBatch(name, flags, 0, new Uint8Array(8), 0, 8);
    batch.answersByToken = isRequest;
    batch.token = ++this.lastToken;
    if (isRequest) this.answers.set(batch.token, 0);
    const result = ksock.send(batch);
    if (!isRequest) return;
    if (result === 0) this.tokens.get(ksock)?.push(batch.token);
    // What becomes of a Request that waits is the model's matter.
    else this.answers.delete(batch.token);
    if (result === -Errno.EAGAIN) ksock.discard();
  }

  settle(): void {
    do {
      this.work.begin();
      this.work.goOn();
    } while (this.work.isPending);
  }

  /** All that the programs have read, and what is in their queues. */
  get state(): string {
    const queues = this.ksocks.map(({ id, queue, missed }) => {
      const unread = Array.from({ length: queue.entries }, (_, at) => queue.batch(at).idSerial);
      return `${id}: ${unread.join()} missed ${missed}`;
    });
    const heard = [...this.heard].map(([id, all]) => `${id}: ${all.join()}`);
    // Which routes are kept depends on the order of things.
    const { keptBytes } = this.bus.routes as unknown as { keptBytes: number };
    const { nextSerial, memory } = this.bus;
    return [...queues, ...heard, nextSerial, memory.held - keptBytes].join('\n');
  }

  end(): void {
    for (const [token, count] of this.answers) {
      const ksock = [...this.tokens].find(([, tokens]) => tokens.includes(token))?.[0];
      const isOpen = ksock?.outstanding.byToken(token) != null;
      if (count + Number(isOpen) !== 1) throw new Error(`Request ${token} has ${count} answers`);
    }
    for (const ksock of this.ksocks.splice(0)) ksock.close();
    this.settle();
    this.bus.routes.ignore(null, Number.POSITIVE_INFINITY);
    if (this.bus.memory.held !== 0) throw new Error(`${this.bus.memory.held} bytes are left`);
  }
}

const deeds = fc.array(deed, { maxLength: 120, size: 'max' });
const steps = fc.integer({ min: 1, max: 6 });

describe('work in pieces', () => {
  it('comes to the same as work at once, if nothing happens between the pieces', () => {
    holds(
      fc.property(deeds, steps, (all, length) => {
        const [pieces, whole] = [new Stage(length), new Stage()];
        for (const drawn of all) {
          // Which of several things a send that waits comes before depends on the pieces.
          const one = drawn.do === 'send' ? { ...drawn, waits: false } : drawn;
          pieces.do(one);
          pieces.settle();
          whole.do(one);
          if (pieces.state !== whole.state) {
            throw new Error(`after ${JSON.stringify(one)}:\n${pieces.state}\n\n${whole.state}`);
          }
        }
        pieces.end();
        whole.end();
      }),
    );
  });

  it('gives each Request one answer and leaves nothing behind, whatever happens between the pieces', () => {
    holds(
      fc.property(deeds, steps, (all, length) => {
        const stage = new Stage(length);
        for (const one of all) stage.do(one);
        stage.settle();
        stage.end();
      }),
    );
  });

  it('is left for later turns: a Ksock has left at once, and its Requests end in their order', () => {
    const work = new Work(10);
    const bus = new Bus({
      common: { memory: new Memory(100_000_000), names: new NameNumbers(), work },
    });
    const answers: string[] = [];
    const asker = bus.open({
      queued: () => {},
      answered: (token, { name }) => answers.push(`${token} ${name}`),
      roomMade: () => {},
    });
    const nobody = { queued: () => {}, answered: () => {}, roomMade: () => {} };
    const replier = bus.open(nobody);
    const successor = bus.open(nobody);
    replier.bind('$.Ask', true);
    for (let at = 0; at < 60; at++) replier.bind(`$.N${at}`, false);
    for (let token = 1; token <= 100; token++) {
      const request = new MessageBatch('$.Ask', Flag.WANT_A_REPLY, 0, new Uint8Array(0), 0, 0);
      request.answersByToken = true;
      request.token = token;
      expect(asker.send(request)).toBe(0);
    }
    for (let read = 0; read < 50; read++) replier.take();
    work.begin();
    replier.close();
    expect(answers.length).toBeLessThanOrEqual(2);
    expect(work.isPending).toBe(true);
    // For everybody else it has left.
    expect(asker.findReplier('$.Ask')).toBe(0);
    expect(successor.bind('$.Ask', true)).toBe(0);
    const late = new MessageBatch('$.N1', Flag.ALL_OR_FAIL, 0, new Uint8Array(0), 0, 0);
    expect(asker.send(late)).toBe(0);
    expect(replier.queue.batch(0)).not.toBe(late);
    let turns = 1;
    for (; work.isPending; turns++) {
      work.begin();
      work.goOn();
      // An answer is more than one step.
      expect(work.done).toBeLessThan(20);
    }
    expect(turns).toBeGreaterThan(15);
    const status = (name: string) => (token: number) => `${token} $.KBUS.Replier.${name}`;
    const tokens = Array.from({ length: 50 }, (_, at) => at + 1);
    expect(answers).toEqual([
      ...tokens.map((token) => status('GoneAway')(token + 50)),
      ...tokens.reverse().map(status('Ignored')),
    ]);
    expect(successor.numMessages).toBe(0);
    expect(bus.memory.held).toBeLessThan(2 * COSTS.ksock + 10_000);
  });
});
