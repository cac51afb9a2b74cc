import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, Parcel, PENDING, Sends } from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import { holds, isUsual } from '../model/property.ts';

/** All that messages of a run have in common, but for their number. */
interface Alike {
  readonly name: string;
  readonly flags: number;
  readonly waits: boolean;
  /** A Ksock id; of a Reply, that of who asked, unless it goes astray. */
  readonly to: number;
  /**
   * Answers one of the Requests that the sender has read, counted from the last, and those behind it; or
   * none, when there is none.
   */
  readonly answers: number | null;
  /** A Request whose Reply is told by its token. */
  readonly answered: boolean;
  /** What a Limpet gives it to carry. */
  readonly carries: boolean;
  /** A Limpet's id, which messages of a run don't have. */
  readonly network: number;
}

const PLAIN: Alike = {
  name: '$.A',
  flags: 0,
  waits: false,
  to: 0,
  answers: null,
  answered: false,
  carries: false,
  network: 0,
};

/** A sender whose sends may wait, two others, and all that is told of what becomes of the sends. */
class Stage {
  readonly bus: Bus;
  readonly sender: BusKsock;
  readonly sends: Sends;
  readonly listeners: BusKsock[];
  readonly told: string[] = [];
  /** Requests that the sender has read, and whom they are from. */
  private readonly asked: Parcel[] = [];
  /** Those that the listeners have. */
  private readonly read: Parcel[][] = [[], []];
  private nextTicket = 1;
  /** What kinds of messages were sent as a run. */
  readonly ran = new Set<string>();

  constructor(nextSerial: number) {
    this.bus = new Bus({ maxMessages: 5, maxUnansweredPerKsock: 3 });
    this.bus.nextSerial = nextSerial;
    const sendRun = this.bus.sendRun.bind(this.bus);
    this.bus.sendRun = (sender, run) => {
      const sent = sendRun(sender, run);
      const kind = run.isReply ? 'Replies' : run.isRequest ? 'Requests' : 'Announcements';
      if (sent !== null) this.ran.add(kind);
      return sent;
    };
    this.sender = this.open(() => this.sends.retry());
    this.sends = new Sends(this.sender, (parcel, result) => this.tell(parcel, result));
    this.listeners = [this.open(), this.open()];
    this.sender.bind('$.Ask', true);
  }

  private open(roomMade?: () => void): BusKsock {
    const ksock: BusKsock = this.bus.open({
      queued: () => {},
      answered: (token, parcel) => {
        for (let at = 0; at < parcel.count; at++) {
          this.told.push(`${token + at} answered ${tell(parcel.one(at), false)}`);
        }
      },
      roomMade: roomMade ?? (() => this.told.push(`${ksock.id} again ${ksock.resend()}`)),
    });
    return ksock;
  }

  // A run that was sent is told of once, each message by itself here.
  private tell(parcel: Parcel, result: number): void {
    for (let index = 0; index < parcel.count; index++) {
      const serial = parcel.idSerial === 0 ? 0 : parcel.idSerial + index;
      this.told.push(`${parcel.ticket + index} ${result} ${parcel.idNetwork}:${serial}`);
    }
  }

  /** `count` messages that are alike but for their one byte of data: as a run, or one by one. */
  send(alike: Alike, count: number, asRun: boolean): void {
    const bytes = new Uint8Array(count).map((_, index) => this.nextTicket + index);
    const { name, flags, waits, answers, network } = alike;
    const { asked } = this;
    const request = asked[asked.length - 1 - ((answers ?? 0) % Math.max(1, asked.length))];
    const isReply = answers !== null && request !== undefined;
    const make = (index: number): Parcel => {
      const to = isReply && alike.to === 0 ? request.from : alike.to;
      const parcel = new Parcel(name, flags, to, bytes, index, 1);
      parcel.ticket = this.nextTicket + index;
      parcel.isAnswered = alike.answered;
      parcel.waits = waits;
      parcel.idNetwork = network;
      if (network !== 0) parcel.idSerial = 5;
      if (isReply) {
        parcel.replyNetwork = request.idNetwork;
        parcel.replySerial = request.idSerial + index;
      }
      if (alike.carries) {
        parcel.carried = { origNetwork: 1, origLocal: 2, finalNetwork: 3, finalLocal: 4 };
      }
      return parcel;
    };
    if (asRun && count > 1 && network === 0) {
      const run = make(0);
      run.count = count;
      run.stride = 1;
      this.sends.submitRun(run);
    } else {
      for (let index = 0; index < count; index++) {
        const parcel = make(index);
        const result = this.sends.submit(parcel);
        if (result !== PENDING) this.tell(parcel, result);
      }
    }
    this.nextTicket += count;
  }

  /** One of the others asks the sender some times, who reads what it gets until it has those Requests. */
  ask(by: number, network: number, count: number, answered: boolean): unknown {
    const result: unknown[] = [];
    for (let each = 0; each < count; each++) {
      const request = new Parcel('$.Ask', Flag.WANT_A_REPLY, 0, new Uint8Array(1), 0, 1);
      request.idNetwork = network;
      if (network !== 0) request.idSerial = 5;
      result.push(this.listeners[by]?.send(request, answered ? this.nextTicket++ : -1));
    }
    const read: string[] = [];
    for (let parcel = this.sender.take(); parcel !== null; parcel = this.sender.take()) {
      if (this.sender.tookRequest) this.asked.push(parcel);
      read.push(tell(parcel, this.sender.tookRequest));
    }
    return [result, read];
  }

  take(listener: number): string {
    const ksock = this.listeners[listener] as BusKsock;
    const parcel = ksock.take();
    if (parcel === null) return 'none';
    if (ksock.tookRequest) this.read[listener]?.push(parcel);
    return tell(parcel, ksock.tookRequest);
  }

  /** A listener sends what may leave it waiting. */
  say(listener: number, name: string): unknown {
    const flags = Flag.ALL_OR_WAIT | (name === '$.Ask' ? Flag.WANT_A_REPLY : 0);
    const parcel = new Parcel(name, flags, 0, new Uint8Array(1), 0, 1);
    return this.listeners[listener]?.send(parcel);
  }

  /** One of the listeners, or the sender. */
  whom(index: number): BusKsock {
    return this.listeners[index] ?? this.sender;
  }

  /** The sender forgets a Request, when a listener's program was shown so many unread messages. */
  forget(token: number, shown: number, listener: number): boolean {
    const { queue } = this.listeners[listener] as BusKsock;
    for (let count = Math.min(shown, queue.length); count > 0; count--) queue.mark(1);
    const isTakenBack = this.sender.forget(token);
    queue.unmark();
    return isTakenBack;
  }

  /** A listener answers the oldest Request that it has read. */
  reply(listener: number): unknown {
    const request = this.read[listener]?.shift();
    if (request === undefined) return 'nothing to answer';
    const reply = new Parcel('$.B', 0, request.from, new Uint8Array(1), 0, 1);
    reply.replyNetwork = request.idNetwork;
    reply.replySerial = request.idSerial;
    return this.listeners[listener]?.send(reply);
  }

  /** A listener goes, and another comes. */
  leave(listener: number): void {
    this.listeners[listener]?.close();
    this.listeners[listener] = this.open();
    this.read[listener] = [];
  }

  /** All go. */
  end(): void {
    for (const ksock of [this.sender, ...this.listeners]) ksock.close();
  }

  state(): unknown {
    const all = [this.sender, ...this.listeners];
    return [
      this.bus.nextSerial,
      [this.sender.lastNetwork, this.sender.lastSerial],
      this.sends.pending,
      all.map((k) => [k.numMessages, k.occupied, k.missed, k.queuedSerial]),
      all.map((k) => [k.outstanding.size, k.numUnrepliedTo, k.isSending]),
    ];
  }
}

function tell(parcel: Parcel, isOurs: boolean): string {
  const { name, flags, to, from, idNetwork, idSerial, carried } = parcel;
  const what = `${name} [${idNetwork}:${idSerial}] from ${from} to ${to} flags ${flags}`;
  const re = `re [${parcel.replyNetwork}:${parcel.replySerial}]`;
  const more = `${JSON.stringify(carried)} data ${parcel.bytes[parcel.dataAt]}`;
  return `${what} ${re} ${isOurs ? 'to answer ' : ''}${more}`;
}

const { WANT_A_REPLY, ALL_OR_WAIT, ALL_OR_FAIL, URGENT } = Flag;
const name = fc.constantFrom('$.A', '$.B', '$.A.B');
const listener = fc.nat(1);
/** Either of the listeners, or the sender. */
const whom = fc.constantFrom(0, 0, 0, 1, 1, 1, 2);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      send: fc.record({
        name,
        flags: fc.constantFrom(
          ...[0, 0, 0, ALL_OR_WAIT, ALL_OR_FAIL, URGENT, ALL_OR_WAIT | ALL_OR_FAIL, 1 << 20],
          ...[WANT_A_REPLY, WANT_A_REPLY | ALL_OR_WAIT, WANT_A_REPLY | URGENT],
        ),
        waits: fc.boolean(),
        to: fc.constantFrom(0, 0, 0, 0, 2, 3, 9),
        answers: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat(3)),
        answered: fc.boolean(),
        carries: fc.boolean(),
        network: fc.constantFrom(0, 0, 0, 0, 0, 7),
      }),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ask: listener,
      network: fc.constantFrom(0, 0, 0, 7),
      count: fc.integer({ min: 1, max: 5 }),
      answered: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ reply: listener }) },
  { weight: 1, arbitrary: fc.record({ leave: listener }) },
  { weight: 3, arbitrary: fc.record({ take: listener }) },
  { weight: 3, arbitrary: fc.record({ takeMany: fc.integer({ min: 1, max: 4 }), whom }) },
  {
    weight: 1,
    arbitrary: fc.record({ say: listener, name: fc.constantFrom('$.A', '$.Ask', '$.Ask') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      bind: fc.constantFrom('$.A', '$.B', '$.A.*', '$.*'),
      replier: fc.boolean(),
      whom,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      unbind: fc.constantFrom('$.A', '$.B', '$.*'),
      replier: fc.boolean(),
      whom,
    }),
  },
  { weight: 1, arbitrary: fc.record({ limit: fc.integer({ min: 1, max: 12 }), whom }) },
  { weight: 1, arbitrary: fc.record({ once: fc.boolean(), whom }) },
  { weight: 2, arbitrary: fc.record({ cancel: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.constant({ discard: true }) },
  {
    weight: 3,
    arbitrary: fc.record({
      forget: fc.integer({ min: 1, max: 60 }),
      shown: fc.constantFrom(0, 0, 1, 2, 3),
      by: listener,
    }),
  },
);

/** Stands for a Request that was taken back. */
const TAKEN_BACK = 1;

/** What must have come of sends, or they are not worth trying. */
const OUTCOMES = [TAKEN_BACK, 0, -11, -16, -22, -32, -37, -99, -111, -114, -125];

describe('a run of messages', () => {
  it('is the same as its messages sent one by one, whatever else happens', {
    timeout: 300_000,
  }, () => {
    const seen = new Set<number>();
    const ran = new Set<string>();
    holds(
      fc.property(
        fc.constantFrom(1, 2 ** 32 - 8),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (nextSerial, steps) => {
          const stages = [new Stage(nextSerial), new Stage(nextSerial)];
          for (const each of steps) {
            const outcomes = stages.map((stage, at) => {
              const ksock = stage.whom('whom' in each ? each.whom : 0);
              if ('send' in each) {
                stage.send(each.send, each.count, at === 1);
              } else if ('ask' in each) {
                return stage.ask(each.ask, each.network, each.count, each.answered);
              } else if ('say' in each) {
                return stage.say(each.say, each.name);
              } else if ('reply' in each) {
                return stage.reply(each.reply);
              } else if ('forget' in each) {
                const isTakenBack = stage.forget(each.forget, each.shown, each.by);
                seen.add(isTakenBack ? TAKEN_BACK : 0);
                return isTakenBack;
              } else if ('leave' in each) {
                stage.leave(each.leave);
              } else if ('take' in each) {
                return stage.take(each.take);
              } else if ('takeMany' in each) {
                ksock.takeMany(Math.min(each.takeMany, ksock.numMessages));
              } else if ('bind' in each) {
                return ksock.bind(each.bind, each.replier);
              } else if ('unbind' in each) {
                return ksock.unbind(each.unbind, each.replier);
              } else if ('limit' in each) {
                return ksock.maxMessages(each.limit);
              } else if ('once' in each) {
                return ksock.wantMessagesOnce(each.once ? 1 : 0);
              } else if ('cancel' in each) {
                return stage.sends.cancel(each.cancel);
              } else {
                stage.sends.discard();
              }
              return undefined;
            });
            expect(outcomes[1]).toEqual(outcomes[0]);
            expect(stages[1]?.state()).toEqual(stages[0]?.state());
          }
          for (const at of [0, 1]) {
            for (let left = true; left; ) {
              const [one, other] = stages.map((stage) => stage.take(at));
              expect(other).toBe(one);
              left = one !== 'none';
            }
          }
          // A bus that holds anything for nobody throws.
          for (const stage of stages) stage.end();
          expect(stages[1]?.told.sort()).toEqual(stages[0]?.told.sort());
          for (const outcome of stages[0]?.told ?? []) seen.add(Number(outcome.split(' ')[1]));
          for (const kind of stages[1]?.ran ?? []) ran.add(kind);
        },
      ),
      400,
    );
    if (!isUsual) return;
    expect(OUTCOMES.filter((outcome) => !seen.has(outcome))).toEqual([]);
    expect([...ran].sort()).toEqual(['Announcements', 'Replies', 'Requests']);
  });

  it('is queued as one entry where nothing sets its messages apart', () => {
    const stage = new Stage(1);
    stage.listeners[0]?.bind('$.A', false);
    stage.send(PLAIN, 4, true);
    expect(stage.listeners[0]?.queue.entries).toBe(1);
    expect(stage.listeners[0]?.numMessages).toBe(4);
    expect(stage.take(0)).toBe('$.A [0:1] from 1 to 0 flags 0 re [0:0] null data 1');
    expect(stage.take(0)).toBe('$.A [0:2] from 1 to 0 flags 0 re [0:0] null data 2');
    expect(stage.listeners[0]?.numMessages).toBe(2);
  });
});
