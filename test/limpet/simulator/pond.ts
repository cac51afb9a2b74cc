import type { BusKsock } from '../../../src/bus/ksock.ts';
import type { Address } from '../../../src/limpet/hub/address.ts';
import type { Frame } from '../../../src/limpet/hub/frame.ts';
import { Hub } from '../../../src/limpet/hub/hub.ts';
import type { Link } from '../../../src/limpet/hub/link.ts';
import { MISSED } from '../../../src/limpet/hub/names.ts';
import { linkOf } from '../../../src/limpet/hub/neighbours.ts';
import { LINK_COST, SIBLING_COST } from '../../../src/limpet/hub/topology.ts';
import { Errno } from '../../../src/message/errno.ts';
import type { Message } from '../../../src/message/message.ts';
import type { RecordBatch } from '../../../src/message/record-batch.ts';
import { type Bowl, batched, read, send } from './bowl.ts';

const NO_OWNER = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** What happens to messages that others could hear, to check that each is heard, or counted as missed. */
export interface Ledger {
  /** A Limpet passes an Announcement or a Request on, as this number of its stream. */
  passed(by: Limpet, n: number, text: string): void;
  /** A Limpet refuses a Request that it should have carried out: nobody on its bus hears that. */
  refused(by: Limpet, origin: Address, n: number): void;
}

interface RequestsInsides {
  answerTo(origin: Address, n: number, name: string, reply?: Message, from?: object): void;
}

export interface PondOptions {
  readonly maxBytes: number;
  readonly forgetAfter: number;
  /** A link is congested with this many frames on their way. */
  readonly congested: number;
  /** Breaks each hub, to see whether the checks notice. */
  readonly ledger?: Ledger | undefined;
  readonly sabotage?: ((hub: Hub) => void) | undefined;
}

/** One Limpet, while it lives: a hub, driven step by step. */
export class Limpet {
  readonly bowl: Bowl;
  readonly id: number;
  readonly hub: Hub;
  private ksock: BusKsock | null = null;
  private isPaused = false;
  private hasDeferred = false;
  /** Outcomes that are on their way. */
  private readonly refusals: (() => void)[] = [];
  private token = 0;
  readonly ends: End[] = [];
  readonly cables = new Set<Cable>();
  readonly warnings: string[] = [];
  isAlive = true;

  constructor(bowl: Bowl, id: number, life: number, options: PondOptions) {
    this.bowl = bowl;
    this.id = id;
    const { maxBytes, forgetAfter } = options;
    this.hub = new Hub(
      { address: { id, life }, maxBytes, forgetAfter },
      {
        send: (message, refused) => this.send(message, (errno) => refused(errno, message)),
        sendBatch: (batch, refused) => {
          for (const message of batch.messages()) {
            this.send(message, (errno) => refused(errno, message));
          }
        },
        tell: (message, refused) => this.send(message, refused),
        reply: (message) => this.send(message, (errno) => this.hub.replyRefused(errno, message)),
        copy: (message, refused) => this.copy(message, refused),
        bind: (name) => {
          const result = this.ksock?.bind(name, true);
          this.hub.bound(name, result === 0);
        },
        unbind: (name) => this.ksock?.unbind(name, true),
        readRepliers: () => {
          throw new Error('bind events were lost');
        },
        pause: (isPaused) => {
          this.isPaused = isPaused;
        },
        transmit: (link, frame) => this.transmit(link, frame),
        defer: () => {
          this.hasDeferred = true;
        },
        warn: (text) => this.warnings.push(text),
      },
    );
    if (options.ledger !== undefined) this.record(options.ledger);
    options.sabotage?.(this.hub);
    this.ksock = bowl.bus.open(NO_OWNER, { maxMessages: 1_000_000 });
    this.ksock.bind('$.*', false);
    this.ksock.wantMessagesOnce(1);
  }

  private record(ledger: Ledger): void {
    const { streams, requests } = this.hub;
    const { own } = streams;
    const append = own.append.bind(own);
    own.append = (message, dest, answers) => {
      const entry = append(message, dest, answers);
      const isOfGoldfish = answers === 0 && message.name !== MISSED;
      if (isOfGoldfish) ledger.passed(this, entry.n, message.text());
      return entry;
    };
    const appendBatch = own.appendBatch.bind(own);
    own.appendBatch = (batch) => {
      let n = own.end;
      for (const message of batch.messages()) ledger.passed(this, n++, message.text());
      appendBatch(batch);
    };
    const insides = requests as unknown as RequestsInsides;
    const answerTo = insides.answerTo.bind(requests);
    insides.answerTo = (origin, n, name, reply, from) => {
      if (reply === undefined) ledger.refused(this, origin, n);
      answerTo(origin, n, name, reply, from);
    };
  }

  private send(message: Message, refused: (errno: number) => void): void {
    if (this.ksock === null) throw new Error('a Limpet without a Ksock sends');
    const result = this.bowl.refuses(message) ? -Errno.ENOMEM : send(this.ksock, message);
    if (result < 0) this.refused(() => refused(-result));
  }

  private copy(message: Message, refused: () => void): void {
    if (this.ksock === null) throw new Error('a Limpet without a Ksock sends');
    const token = this.token++;
    if (this.bowl.refuses(message)) this.refused(refused);
    else if (send(this.ksock, message, token) === 0) this.ksock.forget(token);
    else {
      // A goldfish is the Replier by now, and the Limpet has not heard of it yet.
      this.bowl.refusedCopies++;
      this.refused(refused);
    }
  }

  /** A daemon refuses at once; the Limpet may hear of it after it has sent more. */
  private refused(tell: () => void): void {
    if (this.bowl.refusesLate) this.refusals.push(tell);
    else tell();
  }

  private transmit(link: Link, frame: Frame): boolean {
    const end = this.ends.find((each) => each.link === link);
    if (end === undefined) throw new Error('a frame for a link that is down');
    if (end.isCut) return true;
    end.far.queue.push(frame);
    if (end.far.queue.length >= 2 * end.cable.congested) link.isFlooded = true;
    return end.far.queue.length < end.cable.congested;
  }

  get speaks(): boolean {
    return this.hub.isOnBus;
  }

  /** Speaks for its bus. */
  speak(before: Address | null): void {
    const ksock = this.ksock as BusKsock;
    this.overhear(ksock.numMessages);
    this.hub.joinBus(ksock.id, before);
    ksock.reportReplierBinds(1);
  }

  /** Stands by, and notes what the Limpet that speaks for its bus delivers. */
  private overhear(count: number): boolean {
    let hasRead = false;
    for (let at = 0; at < count; at++) {
      const message = read(this.ksock as BusKsock);
      if (message === null) break;
      hasRead = true;
      this.hub.overheard(message);
    }
    return hasRead;
  }

  /** Reads at most so many messages from its bus. */
  read(count: number): boolean {
    if (this.ksock === null || this.isPaused) return false;
    if (!this.hub.isOnBus) return this.overhear(count);
    let hasRead = false;
    let batch: RecordBatch | null = null;
    for (let at = 0; at < count; at++) {
      const message = read(this.ksock);
      if (message === null) break;
      hasRead = true;
      // Not all in batches, so that batches meet single messages.
      const next: RecordBatch | null = count % 3 === 0 ? null : batched(message, batch);
      if (next === null) {
        if (batch !== null) this.hub.heardBatch(batch);
        batch = count % 3 === 0 ? null : batched(message, null);
        if (batch === null) this.hub.heard(message);
      } else batch = next;
    }
    if (batch !== null) this.hub.heardBatch(batch);
    this.hub.flush();
    return hasRead;
  }

  /** Sends what could wait. */
  flushAll(): boolean {
    const refusals = this.refusals.splice(0);
    for (const tell of refusals) if (this.isAlive) tell();
    const { hasDeferred } = this;
    this.hasDeferred = false;
    if (hasDeferred && this.isAlive) this.hub.flushAll();
    return hasDeferred || refusals.length > 0;
  }

  die(): void {
    this.isAlive = false;
    this.ksock?.close();
    this.ksock = null;
    for (const cable of this.cables) cable.cut();
  }

  /** The names that it is bound to in place of others. */
  get proxied(): string[] {
    return this.ksock === null ? [] : [...this.ksock.replying.values()].map(({ name }) => name);
  }
}

type Sent = Frame | 'hello';

/** One end of a cable. */
export class End {
  readonly cable: Cable;
  readonly limpet: Limpet;
  /** Frames on their way to this end. */
  queue: Sent[] = [];
  /** The other end is there. */
  link: Link | null = null;
  /** The cable is cut, and this end has not noticed. */
  isCut = false;
  /** This end has noticed. */
  isGone = false;

  constructor(cable: Cable, limpet: Limpet) {
    this.cable = cable;
    this.limpet = limpet;
  }

  get far(): End {
    const [one, other] = this.cable.ends as [End, End];
    return one === this ? other : one;
  }

  /** Takes in at most so many frames; or notices that the cable is cut. */
  take(count: number): boolean {
    const { hub } = this.limpet;
    if (this.isCut) {
      this.isCut = false;
      this.isGone = true;
      const { link } = this;
      this.link = null;
      const at = this.limpet.ends.indexOf(this);
      if (at >= 0) this.limpet.ends.splice(at, 1);
      if (link !== null && this.limpet.isAlive) hub.linkDown(link);
      return true;
    }
    const frames = this.queue.splice(0, count);
    for (const frame of frames) {
      if (frame !== 'hello') {
        if (this.link !== null) hub.received(this.link, frame);
        continue;
      }
      const { cost, number } = this.cable;
      const { address } = this.far.limpet.hub;
      const { federation } = this.cable;
      this.link = linkOf(number, address, cost, this.cable.filterTo(this.far), federation);
      this.limpet.ends.push(this);
      hub.linkUp(this.link);
    }
    hub.flush();
    const { far } = this;
    if (!far.isGone && far.link?.isCongested && this.queue.length < this.cable.congested) {
      if (!far.isCut) far.limpet.hub.drained(far.link);
      far.limpet.hub.flush();
    }
    return frames.length > 0;
  }
}

/** A link between two Limpets, which may be cut and mended. */
export class Cable {
  readonly number: number;
  readonly cost: number;
  readonly congested: number;
  readonly filters: readonly (readonly string[])[];
  readonly who: () => readonly [Limpet, Limpet] | null;
  readonly federation: number;
  ends: End[] = [];

  constructor(
    number: number,
    isSibling: boolean,
    congested: number,
    filters: readonly (readonly string[])[],
    who: () => readonly [Limpet, Limpet] | null,
    federation = 0,
  ) {
    this.number = number;
    this.cost = isSibling ? SIBLING_COST : LINK_COST;
    this.congested = congested;
    this.filters = filters;
    this.who = who;
    this.federation = federation;
  }

  filterTo(end: End): readonly string[] {
    return this.filters[this.ends.indexOf(end)] as readonly string[];
  }

  get isUp(): boolean {
    return this.ends.length > 0 && this.ends.every(({ isCut, isGone }) => !isCut && !isGone);
  }

  /** Both ends have noticed what happened to it, and it can be mended. */
  get isDown(): boolean {
    return this.ends.length === 0;
  }

  connect(): boolean {
    if (!this.isDown) return false;
    const both = this.who();
    if (both === null) return false;
    this.ends = both.map((limpet) => new End(this, limpet));
    for (const end of this.ends) {
      end.queue.push('hello');
      end.limpet.cables.add(this);
    }
    return true;
  }

  cut(): void {
    for (const end of this.ends) {
      end.queue = [];
      end.isCut = !end.isGone;
    }
  }

  /** Lets one end take in what comes; forgets the ends once both have noticed a cut. */
  take(which: number, count: number): boolean {
    const end = this.ends[which];
    if (end === undefined || end.isGone) return false;
    const didTake = end.take(count);
    if (this.ends.every(({ isGone }) => isGone)) {
      for (const { limpet } of this.ends) limpet.cables.delete(this);
      this.ends = [];
    }
    return didTake;
  }
}
