import { randomBytes } from 'node:crypto';
import { FrameBatches } from '../client/ports/frame-batches.ts';
import { FramePort } from '../client/ports/frame-port.ts';
import { LocalBatches } from '../client/ports/local-batches.ts';
import type { LocalPort } from '../client/ports/local-port.ts';
import { type Connect, type PendingRequest, type Port, PortError } from '../client/ports/port.ts';
import type { RecordBatches } from '../client/ports/record-batches.ts';
import { Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { Flag } from '../message/flags.ts';
import { Head } from '../message/head.ts';
import { Message, REPLIER_BIND_EVENT } from '../message/message.ts';
import { BatchedNames, type RecordBatch } from '../message/record-batch.ts';
import type { BindingReport } from '../message/reports.ts';
import type { Address } from './hub/address.ts';
import type { Hub, HubHost, RefusedSend } from './hub/hub.ts';
import { EVERYTHING } from './hub/patterns.ts';

/** The Limpet that is bound to this name speaks for the bus; there can only be one. It tells the others how to reach it. */
export const SPEAKER = '$.KBUS.Limpet.Speaker';

/** Each Limpet answers Requests of this and its network id with a report, as JSON. */
export const REPORT = '$.KBUS.Limpet.At.';

/** For so long, in ticks, a message with ALL_OR_WAIT may wait; after that, no message waits for a while. */
const PATIENCE_TICKS = 5;
const IMPATIENT_TICKS = 30;

/** After so many messages a Limpet lets its process do other work: it may be the daemon's. */
const MOST_AT_ONCE = 2000;

/** For so many milliseconds a Limpet lets wait what may. */
const DEFER_MS = 5;

/** The name of the answers: one that begins with `$.KBUS.` would make them Statuses (spec 1 §4.3). */
const ANSWER = '$.Limpet.Answer';

/** A Limpet asks again after so many milliseconds who speaks for the bus. */
const ASK_AGAIN_MS = 100;

/** An Announcement of a Limpet to itself: what came before it was for the Limpet that spoke for the bus before. */
const SPEAKS = '$.KBUS.Limpet.Speaks';

/** Names that are KBUS's own: a Limpet looks at each message that has one. */
const KBUS_NAMES = '$.KBUS.';

/** How many messages the queue of a Limpet holds; the bus also limits its bytes (spec 3 §7.6). */
const MAX_MESSAGES = 100_000;

/** What the Limpet that speaks for a bus tells another one of the same bus. */
export interface SpeakerInfo {
  /** What identifies the bus, in this life of it. */
  readonly bus: string;
  readonly address: Address;
  /** Where it listens for the other Limpets of the bus. */
  readonly path: string;
}

export interface BusSideHost {
  readonly address: Address;
  /** Makes the place where the other Limpets of the bus connect; gives its path. */
  openSiblings(): Promise<string>;
  /** This Limpet speaks for its bus now. */
  speaks(): void;
  report(): unknown;
  terminated(): void;
  /** The daemon is slow, or not any more: `isSlow` means that no link should bring more. */
  slow(isSlow: boolean): void;
  lost(error: PortError): void;
  warn(text: string): void;
}

/** A Limpet with this network id is on the bus already. */
export class IdTakenError extends Error {
  override readonly name = 'IdTakenError';
}

/** The Ksock of a Limpet, in one life of its bus: carries out what the hub wants there, and gives it what comes. */
export class BusSide {
  readonly port: Port;
  private readonly batches: RecordBatches;
  private readonly host: BusSideHost;
  private readonly hub: Hub;
  private readonly termination: string | null;
  /** What identifies the bus. */
  bus = '';
  /** Who spoke for the bus before this Limpet. */
  private before: Address | null = null;
  private path = '';
  private isPaused = false;
  private isSlow = false;
  /** A message with ALL_OR_WAIT was sent since the last look. */
  private hasWaiting = false;
  /** For how many ticks such messages have been on their way; -1: none is. */
  private waited = -1;
  /** For so many ticks no message may wait. */
  private impatience = 0;
  private hasBegunToSpeak = false;
  private isClosed = false;
  /** Requests for listeners only, by id, until they come back. */
  private readonly copies = new Map<string, PendingRequest>();
  /** By name, the last bind or unbind. */
  private readonly binds = new Map<string, number>();
  private bindCount = 0;

  private constructor(port: Port, hub: Hub, termination: string | null, host: BusSideHost) {
    this.port = port;
    this.hub = hub;
    this.termination = termination;
    this.host = host;
    const isBatched = (name: string): boolean =>
      name !== termination && !name.startsWith(KBUS_NAMES);
    const batched = new BatchedNames(isBatched);
    this.batches =
      port instanceof FramePort
        ? new FrameBatches(port, batched)
        : new LocalBatches(port as LocalPort, batched);
  }

  /** Opens the Ksock of a Limpet. Rejects with a PortError or an IdTakenError. */
  static async open(
    connect: Connect,
    names: readonly string[],
    termination: string | null,
    makeHub: (host: HubHost) => Hub,
    host: BusSideHost,
    signal: AbortSignal,
  ): Promise<BusSide> {
    let side: BusSide | null = null;
    const events = {
      closed: (error: PortError | null) => {
        if (side === null || side.isClosed) return;
        side.isClosed = true;
        host.lost(error ?? new PortError(Errno.ECONNRESET));
      },
      missed: (count: number) => {
        if (side === null) return;
        if (side.hub.isOnBus) side.hub.missedByBus(count);
        side.hub.flush();
      },
    };
    const port = await connect('rw', events, signal);
    const hub = makeHub({
      send: (message, refused) => side?.send(message, refused),
      sendBatch: (batch, refused) => side?.sendBatch(batch, refused),
      tell: (message, refused) => side?.tell(message, refused),
      reply: (message) => side?.reply(message),
      copy: (message, refused) => side?.copy(message, refused),
      bind: (name) => side?.bind(name),
      unbind: (name) => side?.unbind(name),
      readRepliers: () => side?.readRepliers(),
      pause: (isPaused) => side?.pause(isPaused),
      // The Limpet puts its own in this place.
      transmit: () => true,
      defer: () => {
        setTimeout(() => side?.isClosed || side?.hub.flushAll(), DEFER_MS);
      },
      warn: host.warn,
    });
    side = new BusSide(port, hub, termination, host);
    try {
      await side.begin(names);
    } catch (error) {
      side.isClosed = true;
      await port.close();
      throw error;
    }
    return side;
  }

  private async begin(names: readonly string[]): Promise<void> {
    const { port } = this;
    const { id } = this.host.address;
    await port.call(Op.MAX_MESSAGES, MAX_MESSAGES, '');
    await port.call(Op.WANT_MESSAGES_ONCE, 1, '');
    try {
      await port.call(Op.BIND, 1, `${REPORT}${id}`);
    } catch (error) {
      if (!(error instanceof PortError) || error.errno !== Errno.EADDRINUSE) throw error;
      throw new IdTakenError(
        `a Limpet with the network id ${id} is on bus ${port.busNumber} already: give this one another --id`,
      );
    }
    for (const name of names.length === 0 ? [EVERYTHING] : names) {
      await port.call(Op.BIND, 0, name);
    }
    const { termination } = this;
    if (termination !== null) await port.call(Op.BIND, 0, termination);
    if (!names.includes(EVERYTHING) && names.length > 0) {
      for (const name of [REPLIER_BIND_EVENT, SPEAKS]) await port.call(Op.BIND, 0, name);
    }
    this.bus = randomBytes(16).toString('hex');
    this.path = await this.host.openSiblings();
  }

  /** Begins to read. */
  start(): void {
    this.port.onReadable(this.readAll).catch(() => {});
    this.readAll();
  }

  /** The Limpet that speaks for the bus; null if it is this one, from now on. */
  async speakOrFind(): Promise<SpeakerInfo | null> {
    for (;;) {
      try {
        await this.port.call(Op.BIND, 1, SPEAKER);
        this.tellToSpeak();
        return null;
      } catch (error) {
        if (!(error instanceof PortError) || error.errno !== Errno.EADDRINUSE) throw error;
      }
      const info = await this.askSpeaker();
      if (info === null) {
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
        continue;
      }
      this.bus = info.bus;
      this.before = info.address;
      return info;
    }
  }

  private tellToSpeak(): void {
    this.tell(new Message(SPEAKS, String(this.host.address.id)), () => {
      setTimeout(() => this.isClosed || this.tellToSpeak(), ASK_AGAIN_MS);
    });
  }

  /** Asks the Limpet that speaks; null if it has just gone. */
  private askSpeaker(): Promise<SpeakerInfo | null> {
    return new Promise((resolve) => {
      const pending: PendingRequest = {
        token: 0,
        answered: (answer) => {
          try {
            resolve(answer.isStatus() ? null : (JSON.parse(answer.text()) as SpeakerInfo));
          } catch {
            resolve(null);
          }
        },
        refused: () => resolve(null),
      };
      this.port.request(new Message(SPEAKER, null, undefined, Flag.WANT_A_REPLY), pending, true);
    });
  }

  // Reading

  private readonly readAll = (): void => {
    const { port, hub } = this;
    for (let count = 0; !this.isPaused && !this.isClosed; ) {
      if (count >= MOST_AT_ONCE) {
        setImmediate(this.readAll);
        break;
      }
      const batch = hub.isOnBus ? this.batches.next() : null;
      if (batch !== null) {
        hub.heardBatch(batch);
        count += batch.count;
        continue;
      }
      const message = port.tryNext();
      if (message === null) break;
      this.take(message);
      count++;
    }
    hub.flush();
  };

  private take(message: Message): void {
    const { head } = message;
    const { name } = head;
    if (name === this.termination) {
      this.host.terminated();
      return;
    }
    if (name.charCodeAt(2) === 0x4b && name.startsWith(KBUS_NAMES) && this.isOurs(message)) return;
    if (head.wantsUsToReply && message.from === this.port.ksockId) {
      const key = `${head.idNetwork}:${message.idSerial}`;
      const copy = this.copies.get(key);
      if (copy !== undefined) {
        this.copies.delete(key);
        void this.port.forget(copy);
        return;
      }
    }
    if (this.hub.isOnBus) this.hub.heard(message);
    else this.hub.overheard(message);
  }

  /** Messages between the Limpets of a bus. */
  private isOurs(message: Message): boolean {
    const { name } = message;
    if (name === SPEAKS) {
      if (message.from === this.port.ksockId) this.speak();
      return true;
    }
    if (!message.wantsUsToReply()) return false;
    if (name === SPEAKER) {
      const { bus, path } = this;
      this.answer(message, { bus, path, address: this.host.address } satisfies SpeakerInfo);
      return true;
    }
    if (!name.startsWith(REPORT)) return false;
    this.answer(message, this.host.report());
    return true;
  }

  private answer(request: Message, body: unknown): void {
    const { idNetwork } = request.head;
    const head = new Head(ANSWER, 0, request.from, 0, idNetwork, request.idSerial);
    this.reply(new Message(ANSWER, JSON.stringify(body), head as never));
  }

  private speak(): void {
    if (this.hasBegunToSpeak) return;
    this.hasBegunToSpeak = true;
    // A termination message may be its own.
    if (this.termination === null) this.port.call(Op.HEAR_OWN, 0, '').catch(() => {});
    this.hub.joinBus(this.port.ksockId, this.before);
    this.host.speaks();
    this.port.call(Op.REPORT_REPLIER_BINDS, 1, '').catch((error: unknown) => {
      // EBUSY: not all fitted into the queue. The reports are on; what exists can be read.
      if (error instanceof PortError && error.errno === Errno.EBUSY) this.readRepliers();
    });
  }

  private pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (!isPaused) queueMicrotask(this.readAll);
  }

  private readRepliers(): void {
    this.readBindings().then(
      (bindings) => {
        const repliers = bindings.filter(({ replier }) => replier);
        this.hub.localRepliers(new Map(repliers.map(({ name, ksock }) => [name, ksock])));
        this.hub.flush();
      },
      () => {},
    );
  }

  private async readBindings(): Promise<BindingReport[]> {
    const all: BindingReport[] = [];
    let next = 0;
    do {
      const { first, text } = await this.port.call(Op.BINDINGS, next, '');
      all.push(...(JSON.parse(text) as BindingReport[]));
      next = first;
    } while (next !== 0);
    return all;
  }

  // Writing

  send(message: Message, refused: RefusedSend): void {
    const wants = (message.head.flags & Flag.ALL_OR_WAIT) !== 0;
    const waits = this.mayWait(wants);
    if (wants && !waits) message.flags &= ~Flag.ALL_OR_WAIT;
    this.posted(this.port.post(message, waits, refused));
  }

  /** Sends a message whose refusal concerns no other one. */
  private tell(message: Message, refused: () => void): void {
    this.port.send(message, false, undefined, (refusal) => refusal).catch(refused);
  }

  private reply(message: Message): void {
    this.port.reply(message, this.replyRefused);
  }

  /** Of all Replies, since a port keeps only the last such function that it was given. */
  private readonly replyRefused: RefusedSend = (errno, reply) => {
    this.hub.replyRefused(errno, reply);
  };

  private sendBatch(batch: RecordBatch, refused: RefusedSend): void {
    this.posted(this.batches.post(batch, this.mayWait(batch.waits), refused));
  }

  /** Whether a message with ALL_OR_WAIT may wait. */
  private mayWait(wants: boolean): boolean {
    const waits = wants && this.impatience === 0;
    if (waits) this.hasWaiting = true;
    return waits;
  }

  /** Messages were posted: if the daemon is slow, no link may bring more for a while. */
  private posted(isReady: boolean): void {
    if (isReady || this.isSlow) return;
    this.isSlow = true;
    this.host.slow(true);
    this.port.ready().then(
      () => {
        this.isSlow = false;
        this.host.slow(false);
      },
      () => {},
    );
  }

  /**
   * A second has passed. A message with ALL_OR_WAIT may wait for a listener that never reads, and all messages behind it
   * with it: after a while, the Limpet drops it, and lets no message wait for some time.
   */
  tick(): void {
    if (this.impatience > 0) this.impatience--;
    if (this.waited >= 0) {
      if (++this.waited > PATIENCE_TICKS) this.giveUp();
    } else if (this.hasWaiting) {
      this.hasWaiting = false;
      this.waited = 0;
      this.port.flushed().then(
        () => {
          this.waited = -1;
        },
        () => {},
      );
    }
  }

  private giveUp(): void {
    if (this.impatience === 0) {
      this.host.warn(
        `a listener of bus ${this.port.busNumber} with a full queue does not read: messages with ALL_OR_WAIT do not wait for it for ${IMPATIENT_TICKS} seconds`,
      );
    }
    this.impatience = IMPATIENT_TICKS;
    const drop = (): void => {
      if (this.waited < 0 || this.isClosed) return;
      this.port.call(Op.DISCARD, 0, '').then(
        () => setImmediate(drop),
        () => {},
      );
    };
    drop();
  }

  private copy(message: Message, refused: () => void): void {
    const key = `${message.head.idNetwork}:${message.idSerial}`;
    const pending: PendingRequest = {
      token: 0,
      answered: () => this.copies.delete(key),
      refused: () => {
        this.copies.delete(key);
        refused();
      },
    };
    this.copies.set(key, pending);
    this.port.request(message, pending, false);
  }

  private bind(name: string): void {
    const turn = ++this.bindCount;
    this.binds.set(name, turn);
    const done = (isBound: boolean): void => {
      if (this.binds.get(name) === turn) this.hub.bound(name, isBound);
    };
    this.port.call(Op.BIND, 1, name).then(
      () => done(true),
      () => done(false),
    );
  }

  private unbind(name: string): void {
    this.binds.delete(name);
    this.port.call(Op.UNBIND, 1, name).catch((error: unknown) => {
      // EAGAIN: a listener of bind events has a full queue. Nobody else knows of this binding.
      if (error instanceof PortError && error.errno === Errno.EAGAIN && !this.binds.has(name)) {
        setTimeout(() => this.binds.has(name) || this.isClosed || this.unbind(name), 100).unref();
      }
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.port.close();
  }
}
