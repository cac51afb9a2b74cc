import type { Asked, Fact, Journal } from '../../chaos/journal.ts';
import { noteOf } from '../../chaos/promises.mjs';
import type { Timers } from '../../src/base/timers.ts';
import type { Bus, BusKsock } from '../../src/bus/index.ts';
import type { Handling } from '../../src/client/handler.ts';
import { FramePort } from '../../src/client/ports/frame-port.ts';
import { type Connect, PortError } from '../../src/client/ports/port.ts';
import { TransportKsock } from '../../src/client/transport-ksock.ts';
import type { ReceivePools } from '../../src/daemon/receive-pools.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import { Errno } from '../../src/message/errno.ts';
import { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { type Message, Message as Plain, replyTo } from '../../src/message/message.ts';
import { StatusError } from '../../src/message/request-error.ts';
import { ToldNames } from '../../src/wire/told-names.ts';
import { type Link, Link as NewLink } from './link.ts';
import { Broken, type Lockstep, type Pair, same, tellMessage } from './lockstep.ts';
import type { Deed } from './steps.ts';

const BUS_GONE_AWAY = '$.KBUS.Bus.GoneAway';

/** The faults to insert, which the simulator must notice. */
export interface Sabotage {
  bus?: (bus: Bus) => void;
  session?: (session: Session) => void;
  port?: (port: FramePort) => void;
  ksock?: (ksock: TransportKsock) => void;
}

/** What a seat needs of its world. */
export interface SeatWorld {
  clock: number;
  readonly deferred: (() => void)[];
  readonly sessions: Set<Session>;
  readonly timers: readonly unknown[];
  readonly clientTimers: Timers;
  readonly links: Link[];
  readonly lockstep: Lockstep;
  readonly host: SessionHost;
  readonly pools: ReceivePools;
  readonly isOver: boolean;
  readonly away: 'ENOENT' | 'ECONNRESET' | null;
  readonly sabotage: Sabotage;
  newJournal(): Journal;
  fail(error: unknown): void;
  replace(seat: Seat): void;
}

/** A wait of a program. */
export interface Wait {
  readonly what: Deed['do'] | 'pass';
  readonly controller: AbortController | null;
  readonly of: Incarnation;
  isAwaited: boolean;
}

/** A connection: the client's port, and the daemon's session. */
export interface Incarnation {
  readonly link: Link;
  readonly lockstep: Lockstep;
  readonly session: Session;
  readonly journal: Journal;
  readonly pair: Pair | null;
  port: FramePort | null;
  isLost: boolean;
}

/** The Requests of a session that wait for ROOM. */
interface SessionInsides {
  readonly parts: {
    readonly sends: {
      readonly requests: {
        readonly count: number;
        readonly lines: ReadonlyMap<BusKsock, ReadonlyMap<number, unknown>>;
      };
    };
  };
}

type Made = { -readonly [K in keyof Incarnation]: Incarnation[K] };

/** A program with one Ksock, which carries out steps, and records what it does and sees. */
export class Seat {
  readonly number: number;
  private readonly world: SeatWorld;
  ksock: TransportKsock | null = null;
  now: Incarnation | null = null;
  isOpening = false;
  /** Its process has died: ignore what its code does from here on. */
  isGhost = false;
  isClosing = false;
  /** The connection is lost, and no message is left. */
  isSpent = false;
  /** It reconnects. */
  private comesBack = false;
  /** How it reads its messages: one way at a time. */
  reader: 'nobody' | 'call' | 'iteration' | 'handlers' = 'nobody';
  private iteration: AsyncIterableIterator<Message> | null = null;
  readonly waits = new Set<Wait>();
  /** Requests read and not answered. */
  private toAnswer: Message[] = [];
  /** Pending calls of handlers. */
  private slow: (() => void)[] = [];
  private readonly links: Link[] = [];
  private readonly given = new WeakSet<Message>();
  private readonly incarnations = new Map<object, Incarnation>();
  private readonly handlings: Handling[] = [];
  private nextNumber = 1;

  constructor(world: SeatWorld, number: number) {
    this.world = world;
    this.number = number;
  }

  get isOpen(): boolean {
    return this.ksock !== null && !this.isClosing;
  }

  private note(of: Incarnation | null, fact: Fact): void {
    if (this.isGhost || of === null) return;
    of.journal.entries.push({ t: this.world.clock++, ...fact });
  }

  /** Follows a promise: it must settle as the specification says, or have a reason to wait. */
  private wait(
    what: Wait['what'],
    promise: Promise<unknown>,
    controller: AbortController | null,
    done: (value: unknown, failure: unknown) => void = () => {},
  ): void {
    const wait: Wait = { what, controller, of: this.now as Incarnation, isAwaited: true };
    this.waits.add(wait);
    const settle = (value: unknown, failure: unknown): void => {
      if (!wait.isAwaited) this.world.fail(new Broken(`${what} ended twice`));
      wait.isAwaited = false;
      this.waits.delete(wait);
      if (this.isGhost) return;
      if (failure !== undefined && !isDocumented(failure, controller)) this.world.fail(failure);
      try {
        done(value, failure);
      } catch (error) {
        this.world.fail(error);
      }
    };
    promise.then(
      (value) => settle(value, undefined),
      (error: unknown) => settle(undefined, error ?? new Broken(`${what} rejected with nothing`)),
    );
  }

  // The connection to the bus

  private readonly connect: Connect = async (mode, events) => {
    const { world } = this;
    // A killed process has no timers.
    if (this.isGhost) return new Promise<FramePort>(() => {});
    if (world.away !== null) throw new PortError(Errno[world.away], 'nobody answers');
    let made: Made | null = null;
    const port = await FramePort.open(
      (toldTo) => {
        const link = new NewLink();
        const lockstep = world.lockstep;
        const session = new Session(world.host, lockstep.bus, link.daemon);
        world.sessions.add(session);
        world.sabotage.session?.(session);
        const journal = world.newJournal();
        link.client.events = toldTo;
        link.daemon.events = session;
        link.daemon.pools = world.pools;
        made = { link, lockstep, session, journal, pair: null, port: null, isLost: false };
        world.links.push(link);
        this.links.push(link);
        return link.client;
      },
      {
        mode,
        pid: 1000 + this.number,
        program: 'simulated',
        told: new ToldNames(),
        defer: (flush) => world.deferred.push(flush),
        deferLonger: (flush) => world.deferred.push(flush),
        timers: world.clientTimers,
      },
      {
        missed: () => {},
        closed: (error) => {
          if (error?.errno === Errno.EPROTO) {
            world.fail(new Broken(`the connection ended: ${error.message}`));
          }
          if (made !== null) {
            made.isLost = true;
            const isClean = error === null && !made.link.isLost && leftClean(made);
            this.note(made, { e: 'end', why: isClean ? 'closed' : 'lost', drained: world.isOver });
          }
          events.closed(error);
        },
      },
    );
    const incarnation = made as unknown as Made;
    incarnation.port = port;
    world.sabotage.port?.(port);
    const pair = incarnation.lockstep.pairs.get(port.ksockId) ?? null;
    incarnation.pair = pair;
    const tryNext = port.tryNext.bind(port);
    port.tryNext = () => this.checked(incarnation, tryNext());
    const take = port.take.bind(port);
    port.take = async (wait, signal) => this.checked(incarnation, await take(wait, signal));
    this.incarnations.set(port, incarnation);
    if (this.now !== null) this.note(incarnation, { e: 'again' });
    if (this.reader === 'handlers') this.note(incarnation, { e: 'loose' });
    this.note(incarnation, { e: 'open', id: port.ksockId });
    this.now = incarnation;
    return port;
  };

  /** Checks that the port gives the bus's messages, in the same order. */
  private checked(of: Incarnation, message: Message | null): Message | null {
    if (message === null || this.isGhost || message.name === BUS_GONE_AWAY) return message;
    // A port gives its messages by either call.
    if (this.given.has(message)) return message;
    this.given.add(message);
    try {
      of.pair?.hand(tellMessage(message));
    } catch (error) {
      this.world.fail(error);
    }
    return message;
  }

  // What the program does

  /** False if the step has no meaning now. */
  act(deed: Deed): boolean {
    if (deed.do === 'open') return this.open(deed.mode, deed.reconnect);
    const { ksock, now } = this;
    if (ksock === null || now === null || this.isClosing) return false;
    switch (deed.do) {
      case 'bind': {
        const { name, replier } = deed;
        this.note(now, { e: 'bind?', name, replier });
        this.wait('bind', ksock.bind(name, replier), null, (_, failure) => {
          this.note(now, { e: failure === undefined ? 'bind!' : 'bind-', name, replier });
        });
        return true;
      }
      case 'unbind': {
        const { name, replier } = deed;
        this.note(now, { e: 'unbind?', name, replier });
        this.wait('unbind', ksock.unbind(name, replier), null);
        return true;
      }
      case 'send': {
        const message = this.message(deed.name, deed.request, deed.flags, deed.size);
        this.send(ksock, message, deed.wait, deed.abortable);
        return true;
      }
      case 'post': {
        const message = this.message(deed.name, deed.request, deed.flags, deed.size);
        const n = this.sending(message);
        const ready = ksock.post(message, { wait: deed.wait });
        if (ready === undefined) return true;
        this.wait('post', ready, null, (_, failure) => {
          if (failure !== undefined) this.note(now, { e: 'send-', n, code: 'EPROTO' });
        });
        return true;
      }
      case 'flush':
        this.wait('flush', ksock.flush(), null);
        return true;
      case 'request':
        for (let left = deed.count ?? 1; left > 0; left--) {
          this.request(
            ksock,
            deed.name,
            deed.flags,
            deed.size,
            deed.abortable,
            deed.wait !== false,
          );
        }
        return true;
      case 'read':
        return this.readOne(ksock, 'read');
      case 'wait':
        return this.readOne(ksock, 'wait', deed.timed);
      case 'iterate':
        return this.iterate(ksock, deed.count);
      case 'stop':
        if (this.iteration === null) return false;
        this.wait('pass', this.iteration.return?.() as Promise<unknown>, null);
        return true;
      case 'handle':
        return this.handle(ksock, deed);
      case 'answer':
        return this.answer(ksock, deed.which, deed.wait, deed.flags);
      case 'abort': {
        const abortable = [...this.waits].filter(({ controller }) => controller !== null);
        const chosen = abortable[deed.which % Math.max(1, abortable.length)];
        if (chosen === undefined || chosen.controller?.signal.aborted) return false;
        chosen.controller?.abort();
        return true;
      }
      case 'limit':
        this.note(now, { e: 'limit', count: deed.count });
        this.wait('limit', ksock.setMaxMessages(deed.count), null);
        return true;
      case 'once':
        this.note(now, { e: 'once' });
        this.wait('once', ksock.wantMessagesOnce(deed.on), null);
        return true;
      case 'report':
        this.wait('report', ksock.reportReplierBinds(deed.on), null);
        return true;
      case 'resend':
        this.wait('resend', ksock.send(), null);
        return true;
      case 'discard':
        this.wait('discard', ksock.discard(), null);
        return true;
      case 'writable': {
        const controller = new AbortController();
        const { signal } = controller;
        this.wait('writable', ksock.waitWritable({ signal }), controller);
        return true;
      }
      case 'close':
        this.close();
        return true;
      case 'vanish':
        this.vanish();
        return true;
    }
  }

  private open(mode: 'r' | 'rw', reconnect: boolean): boolean {
    if (this.ksock !== null || this.isOpening) return false;
    this.comesBack = reconnect;
    this.isOpening = true;
    const environment = { timers: this.world.clientTimers, warn: () => {} };
    const options = { mode, reconnect, onHandlerError: () => {} };
    const opened = TransportKsock.openIn(environment, this.connect, options);
    opened.then(
      (ksock) => {
        this.isOpening = false;
        this.ksock = ksock;
        this.world.sabotage.ksock?.(ksock);
      },
      (error: unknown) => {
        this.isOpening = false;
        if (!isDocumented(error, null)) this.world.fail(error);
      },
    );
    return true;
  }

  private message(name: string, request: boolean, flags: number, size: number, to = ''): Message {
    const tag = `${this.now?.journal.name}.${this.nextNumber} ${to}`;
    const data = tag.padEnd(size, '.');
    return new Plain(name, data, { flags: flags | (request ? Flag.WANT_A_REPLY : 0) });
  }

  /** Records a send; gives its number. */
  private sending(message: Message, more: Partial<Asked> = {}): number {
    const n = this.nextNumber++;
    this.note(this.now, { e: 'send?', n, ...noteOf(message), ...more });
    return n;
  }

  private send(ksock: TransportKsock, message: Message, wait: boolean, abortable: boolean): void {
    const { now } = this;
    const controller = abortable ? new AbortController() : null;
    const flags = wait ? message.flags | Flag.ALL_OR_WAIT : message.flags;
    const n = this.sending(message, { flags: flags >>> 0 });
    const sent = ksock.sendMsg(message, { wait, ...(controller && { signal: controller.signal }) });
    this.wait('send', sent, controller, (id, failure) => {
      if (failure === undefined) this.note(now, { e: 'send!', n, id: String(id) });
      else this.note(now, { e: 'send-', n, code: codeOf(failure) });
    });
  }

  private request(
    ksock: TransportKsock,
    name: string,
    flags: number,
    size: number,
    abortable: boolean,
    wait: boolean,
  ): void {
    const { now } = this;
    const controller = abortable ? new AbortController() : null;
    const message = this.message(name, true, flags, size);
    const n = this.sending(message, { awaited: true });
    const answered = ksock.request(message, null, { wait, signal: controller?.signal });
    this.wait('request', answered, controller, (reply, failure) => {
      const answer = answerIn(reply, failure);
      if (answer !== null) this.note(now, { e: 'answer', n, ...noteOf(answer) });
      else this.note(now, { e: 'send-', n, code: codeOf(failure) });
    });
  }

  /** The Statuses of a lost connection are read on the next one: they belong to the journal of the first. */
  private noteRead(message: Message): void {
    const of = this.incarnations.get(message.connection ?? this) ?? this.now;
    this.note(of, { e: 'read', ...noteOf(message) });
  }

  private received(message: Message): void {
    this.noteRead(message);
    if (message.wantsUsToReply()) this.toAnswer.push(message);
  }

  private readOne(ksock: TransportKsock, what: 'read' | 'wait', timed = false): boolean {
    if (this.reader !== 'nobody') return false;
    this.reader = 'call';
    const controller = what === 'wait' ? new AbortController() : null;
    const reading =
      controller === null
        ? ksock.readNextMsg()
        : ksock.waitForMsg({ signal: controller.signal, ...(timed && { timeout: 1 }) });
    this.wait(what, reading, controller, (message, failure) => {
      this.reader = 'nobody';
      if (failure !== undefined) this.isSpent = true;
      if (message) this.received(message as Message);
    });
    return true;
  }

  private iterate(ksock: TransportKsock, count: number): boolean {
    if (this.reader !== 'nobody') return false;
    this.reader = 'iteration';
    const iteration = ksock[Symbol.asyncIterator]();
    this.iteration = iteration;
    const run = async (): Promise<void> => {
      for await (const message of iteration) {
        this.received(message);
        if (--count <= 0) break;
      }
    };
    this.wait('iterate', run(), null, () => {
      this.reader = 'nobody';
      this.iteration = null;
    });
    return true;
  }

  private readonly heard = new WeakSet<Message>();

  private handle(ksock: TransportKsock, deed: Deed & { do: 'handle' }): boolean {
    if (this.reader !== 'nobody' && this.reader !== 'handlers') return false;
    this.reader = 'handlers';
    const { now } = this;
    this.note(now, { e: 'loose' });
    const { name, replier, style } = deed;
    this.note(now, { e: 'bind?', name, replier });
    const handling = replier
      ? ksock.replier(name, (request) => this.answerLike(style, request))
      : ksock.listener(name, (message) => {
          // Every matching handler gets a Reply, which answers once.
          if (!message.isReply() || !this.heard.has(message)) this.noteRead(message);
          this.heard.add(message);
        });
    this.wait('handle', handling, null, (made, failure) => {
      this.note(now, { e: failure === undefined ? 'bind!' : 'bind-', name, replier });
      if (failure === undefined) this.handlings.push(made as Handling);
    });
    return true;
  }

  private answerLike(
    style: (Deed & { do: 'handle' })['style'],
    request: Message,
  ): string | Promise<string> {
    this.noteRead(request);
    const answer = (): string => {
      const message = this.message(request.name, false, 0, 0, meant(request));
      message.inReplyTo = request.id;
      this.sending(message);
      return message.text();
    };
    if (style === 'throws') throw new Error('a handler that fails');
    if (style === 'prompt') return answer();
    return new Promise((resolve) => {
      if (style === 'slow') this.slow.push(() => resolve(answer()));
    });
  }

  private answer(ksock: TransportKsock, which: number, wait: boolean, flags: number): boolean {
    const slow = this.slow.shift();
    if (slow !== undefined) {
      slow();
      return true;
    }
    const [request] = this.toAnswer.splice(which % Math.max(1, this.toAnswer.length), 1);
    if (request === undefined) return false;
    const { data } = this.message(request.name, false, 0, 0, meant(request));
    const reply = replyTo(request, data);
    reply.flags |= flags;
    this.send(ksock, reply, wait, false);
    return true;
  }

  /** Answers all Requests; gives whether there were any. */
  answerAll(): boolean {
    let any = false;
    while (this.ksock !== null && this.isOpen && this.answer(this.ksock, 0, false, 0)) any = true;
    return any;
  }

  close(): void {
    const { ksock, now } = this;
    if (ksock === null || this.isClosing) return;
    this.isClosing = true;
    this.note(now, { e: 'end?' });
    this.wait('close', ksock.close(), null, () => this.leave());
  }

  /** The process is killed. */
  vanish(): void {
    this.note(this.now, { e: 'end?' });
    this.note(this.now, { e: 'end', why: 'killed', drained: false });
    for (const { client } of this.links) {
      client.isDead = true;
      if (!client.isClosed) client.break();
    }
    this.world.replace(this);
    this.isGhost = true;
  }

  private leave(): void {
    this.world.replace(this);
  }

  /** Reads a message, if there may be one. */
  readRest(): boolean {
    const { now } = this;
    if (now === null) return false;
    const isDone = now.isLost ? this.isSpent : now.pair?.naive.queue.length === 0;
    if (isDone && unclaimedOf(now).length === 0) return false;
    return this.act({ do: 'read' });
  }

  /** An aborted wait must end at once; but its send may have been done. */
  checkGivenUp(): void {
    for (const { what, controller } of this.waits) {
      if (what === 'send' || !controller?.signal.aborted) continue;
      throw new Broken(`program ${this.number} still waits for ${what} after an abort`);
    }
  }

  // What must hold when nothing moves any more

  /** Every wait must have a reason. */
  checkWaits(): void {
    const { now } = this;
    if (now === null || now.isLost || now.pair === null) {
      if (this.comesBack) {
        if (!this.isOpen || this.world.timers.length > 0) return;
        throw new Broken(`program ${this.number} does not try to reconnect`);
      }
      for (const { what } of this.waits) {
        throw new Broken(`program ${this.number} waits for ${what}, and there is no connection`);
      }
      return;
    }
    const { naive } = now.lockstep;
    const { naive: k, engine, taken, consumed } = now.pair;
    const unclaimed = unclaimedOf(now).length;
    const isDrained = k.queue.length === 0 && unclaimed === 0;
    const sending = k.sending !== null && !naive.couldGoOn(k);
    for (const { what, controller } of this.waits) {
      const mayWait =
        !controller?.signal.aborted &&
        (what === 'request' ||
          (what === 'wait' && isDrained) ||
          (what === 'iterate' && isDrained) ||
          (['send', 'post', 'flush', 'writable'].includes(what) && sending));
      if (!mayWait)
        throw new Broken(`program ${this.number} (Ksock ${k.id}) waits for ${what} in vain`);
    }
    if (this.reader === 'handlers' && this.handlings.length > 0 && this.waits.size === 0) {
      same(`unread of Ksock ${k.id}, which has handlers`, k.queue.length + unclaimed, 0);
    }
    if (k.sending === null) {
      const asked = [...this.waits].filter(({ what }) => what === 'request').length;
      const owed = naive.requests.filter(({ requester, token }) => requester === k && token >= 0);
      const waiting = waitingForRoom(now);
      if (asked > owed.length + waiting) {
        throw new Broken(
          `Ksock ${k.id} waits for ${asked} answers, and is owed ${owed.length}, while ${waiting} Requests wait for queue slots`,
        );
      }
    }
    same(`messages that Ksock ${engine.id} was given`, consumed.length + unclaimed, taken.length);
  }
}

/** The number of Requests that wait for ROOM; throws a Broken if one waits in vain. */
function waitingForRoom({ session, lockstep, pair }: Incarnation): number {
  const { requests } = (session as unknown as SessionInsides).parts.sends;
  const own = pair?.engine as BusKsock;
  for (const [on, { size }] of requests.lines) {
    const { naive } = lockstep.pairs.get(on.id) as Pair;
    const isOwnFull = lockstep.naive.isFull((pair as Pair).naive);
    if (size > 0 && !isOwnFull && !lockstep.naive.isFull(naive)) {
      throw new Broken(
        `a Request of Ksock ${own.id} waits for a slot of Ksock ${on.id}, which has a free one`,
      );
    }
  }
  return requests.count;
}

/** Messages that arrived for a wait that had ended. */
function unclaimedOf({ port }: Incarnation): readonly Message[] {
  return (port as unknown as { pendingReads: { unclaimed: Message[] } }).pendingReads.unclaimed;
}

/** It left with the bus's knowledge, after all frames of the bus had reached its program. */
function leftClean(of: Incarnation): boolean {
  if (of.port === null || of.pair?.engine.isOpen !== false) return false;
  return of.link.daemon.unarrived === 0 && unclaimedOf(of).length === 0;
}

/** The Request that a Reply is for, as its data says. */
function meant(request: Message): string {
  return `to:${noteOf(request).tag} `;
}

function isDocumented(error: unknown, controller: AbortController | null): boolean {
  if (controller?.signal.aborted && error === controller.signal.reason) return true;
  return error instanceof KbusError && error.code !== 'EPROTO';
}

function codeOf(failure: unknown): string {
  return failure instanceof KbusError ? failure.code : 'abort';
}

/** The Reply or Status of a request(), if it has settled. */
function answerIn(reply: unknown, failure: unknown): Message | null {
  if (failure === undefined) return reply as Message;
  if (failure instanceof StatusError) return failure.status;
  const { reply: error } = failure as { reply?: Message };
  return error ?? null;
}
