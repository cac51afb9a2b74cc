import type { Address } from '../hub/address.ts';
import type { Wire, WireEvents } from '../link/wire.ts';
import type { Engine, EngineWants } from './engine.ts';
import type { WireMark } from './journal-codec.ts';
import {
  decodePeerMessage,
  encodePeerMessage,
  Kind,
  type PeerMessage,
  PeerWire,
} from './peer-wire.ts';

/** A Limpet tells all others that it is there, at each of so many ticks. */
const GREET_EVERY = 5;

/** The number of ticks before a Limpet tries again to join one that it could not join: it doubles from the first to the last. */
const FIRST_DELAY = 1;
const LAST_DELAY = 16;

const MAX_GREETING = 1024;

/** The subjects of a federation: what a Limpet may publish and hear is said by its network id (docs/machines.md). */
export const SUBJECT_ROOT = 'kbus';

/** The name of a federation is one word of a subject. Says what is wrong with it; '' if it is valid. */
export function faultOfFederation(name: string): string {
  if (name === '') return 'a federation needs a name, such as plant';
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return '';
  return `'${name}' is no name of a federation: give up to 64 letters, digits, '_' and '-'`;
}

/** What a Limpet needs of the engine: to hear `kbus.plant.hello.*` and `kbus.plant.to.7.*`. */
export function wantsOf(federation: string, id: number): EngineWants {
  const prefix = `${SUBJECT_ROOT}.${federation}`;
  return {
    subjects: [`${prefix}.hello.*`, `${prefix}.to.${id}.*`],
    answers: `${prefix}.answer.${id}`,
  };
}

/** How Announcements travel: `core`: as everything else does; `stream`: through a stream that the engine keeps. */
export type FederationMode = 'core' | 'stream';

/** The stream of a federation, and on which subject a Limpet stores its Announcements there. */
export const streamOf = (federation: string): string => `KBUS_${federation}`;

export const streamSubject = (federation: string, id: number | '*'): string =>
  `${SUBJECT_ROOT}.${federation}.stream.${id}`;

/** What a Limpet says of itself to all. */
interface Greeting {
  readonly version: number;
  readonly life: number;
  readonly bus: string;
  readonly mode: FederationMode;
}

const VERSION = 1;

/** A Limpet of the federation, as this one knows it. */
interface Peer {
  readonly id: number;
  /** The subject of messages to it. */
  readonly to: string;
  /** 0: it has begun a wire, and not said yet which life it is. */
  life: number;
  wire: PeerWire | null;
  /** Ticks until the next attempt to join it. */
  wait: number;
  delay: number;
  /** They were joined, so it is worth an attempt before the other one is heard again. */
  wasJoined: boolean;
  /** How many messages of the wire the last mark told of. */
  marked: number;
}

export interface FederationHost {
  /** A number from 1 to 2^32 - 1 that no earlier wire had, but by chance. */
  token(): number;
  /** A wire to another Limpet: gives who hears what comes. `isServer`: the other Limpet has begun it. */
  open(wire: Wire, isServer: boolean): WireEvents;
  warn(text: string): void;
}

export interface FederationOptions {
  readonly name: string;
  readonly id: number;
  readonly life: number;
  readonly bus: string;
  readonly mode: FederationMode;
}

/**
 * One Limpet's part in a federation: a link with many ends (spec 3 §7). It finds the other Limpets, and makes a wire to each.
 * It is a pure state machine: its driver passes on what the engine brings, and calls `tick` each second.
 *
 * Every Limpet says on `kbus.NAME.hello.ID`, for all, that it is there. Of two Limpets, the one with the smaller id begins the
 * wire, and the other one answers a greeting on `kbus.NAME.to.ID.ID`, where the wire's messages go too: first the id of whom
 * they are for, then that of whom they are from.
 */
export class Federation {
  private readonly options: FederationOptions;
  private readonly host: FederationHost;
  private readonly prefix: string;
  private readonly peers = new Map<number, Peer>();
  /** The same, by the subject of messages from it: to take a subject apart takes long. */
  private readonly bySubject = new Map<string, Peer>();
  private engine: Engine | null = null;
  private ticks = 0;
  private readonly warned = new Set<string>();

  constructor(options: FederationOptions, host: FederationHost) {
    this.options = options;
    this.host = host;
    this.prefix = `${SUBJECT_ROOT}.${options.name}`;
  }

  /** How many other Limpets it is joined with. */
  get joined(): number {
    let count = 0;
    for (const { wire } of this.peers.values()) if (wire !== null) count++;
    return count;
  }

  // The engine

  up(engine: Engine): void {
    this.engine = engine;
    this.greet();
  }

  /** Everything that was on its way is lost. */
  lost(why: string): void {
    this.engine = null;
    for (const { wire } of [...this.peers.values()]) wire?.close(why);
    this.peers.clear();
    this.bySubject.clear();
  }

  received(subject: string, bytes: Uint8Array): void {
    // While the engine is out of reach, nobody can be answered.
    if (this.engine === null) return;
    const peer = this.bySubject.get(subject);
    if (peer !== undefined) {
      this.told(peer.id, bytes);
      return;
    }
    const [to, from] = this.parse(subject);
    if (from === 0) return;
    if (to === 0) this.greeted(from, bytes, true);
    else if (to === this.options.id) this.told(from, bytes);
  }

  /** Whom a subject is for (0: all) and from (0: it is none of ours). */
  private parse(subject: string): [to: number, from: number] {
    if (!subject.startsWith(`${this.prefix}.`)) return [0, 0];
    const words = subject.slice(this.prefix.length + 1).split('.');
    if (words[0] === 'hello' && words.length === 2) return [0, idOf(words[1])];
    if (words[0] === 'to' && words.length === 3) return [idOf(words[1]), idOf(words[2])];
    return [0, 0];
  }

  tick(): void {
    this.ticks++;
    if (this.ticks % GREET_EVERY === 0) this.greet();
    for (const peer of this.peers.values()) {
      if (peer.wait > 0) peer.wait--;
      if (peer.wire !== null) peer.wire.acknowledge();
      else if (peer.wasJoined) this.join(peer);
    }
  }

  /** Leaves: each peer hears it at once. */
  leave(why: string): void {
    for (const { wire } of [...this.peers.values()]) wire?.destroy();
    this.lost(why);
  }

  // Greetings

  private greet(): void {
    const { id } = this.options;
    this.engine?.publish(`${this.prefix}.hello.${id}`, this.greeting());
  }

  private greeting(): Uint8Array {
    const { life, bus, mode } = this.options;
    return Buffer.from(JSON.stringify({ version: VERSION, life, bus, mode } satisfies Greeting));
  }

  private greeted(from: number, bytes: Uint8Array, isForAll: boolean): void {
    const greeting = readGreeting(bytes);
    const { id, life, bus } = this.options;
    if (greeting === null) return;
    if (from === id) {
      if (greeting.life !== life) {
        this.warnOnce(
          `another Limpet of the federation ${this.options.name} also has the network id ${id}: give one of them another --id`,
        );
        // So that the other one knows at once, too.
        if (isForAll) this.publish(id, encodePeerMessage(Kind.HERE, 0, 0, 0, [this.greeting()]));
      }
      return;
    }
    if (greeting.version !== VERSION) {
      this.warnOnce(
        `Limpet ${from} of the federation ${this.options.name} speaks version ${greeting.version} of its protocol, and this one ${VERSION}: install the same version of kbus`,
      );
      return;
    }
    // Limpets of one bus are joined otherwise.
    if (greeting.bus === bus) return;
    if (greeting.mode !== this.options.mode) {
      this.warnOnce(
        `Limpet ${from} is in the federation ${this.options.name} with mode ${greeting.mode}, and this one with mode ${this.options.mode}: give both the same --nats-mode`,
      );
      return;
    }
    const peer = this.peerOf(from);
    const before = peer.life;
    peer.life = greeting.life;
    if (before !== 0 && before !== greeting.life) {
      peer.delay = FIRST_DELAY;
      peer.wait = 0;
      peer.wire?.close('the other Limpet has begun anew');
    }
    this.join(peer);
  }

  private join(peer: Peer): void {
    if (peer.wire !== null || peer.wait > 0) return;
    peer.wasJoined = false;
    if (this.options.id > peer.id) {
      // The other one begins the wire, when it has heard of this Limpet.
      this.publish(peer.id, encodePeerMessage(Kind.HERE, 0, 0, 0, [this.greeting()]));
      return;
    }
    const wire = this.wireTo(peer, this.host.token());
    wire.events = this.host.open(wire, false);
  }

  private peerOf(id: number): Peer {
    let peer = this.peers.get(id);
    if (peer === undefined) {
      const state = { wire: null, wait: 0, delay: FIRST_DELAY, wasJoined: false, marked: 0 };
      peer = { id, to: this.subject(id), life: 0, ...state };
      this.peers.set(id, peer);
      this.bySubject.set(`${this.prefix}.to.${this.options.id}.${id}`, peer);
    }
    return peer;
  }

  private warnOnce(text: string): void {
    if (this.warned.has(text)) return;
    this.warned.add(text);
    this.host.warn(text);
  }

  // Wires

  private told(from: number, bytes: Uint8Array): void {
    const message = decodePeerMessage(bytes);
    if (message === null) return;
    if (message.kind === Kind.HERE) {
      this.greeted(from, message.bytes, false);
      return;
    }
    if (from === this.options.id) return;
    const wire = this.peers.get(from)?.wire ?? null;
    if (wire?.token === message.token) wire.received(message);
    else this.toldAnew(from, message);
  }

  /** The message is for no wire that there is. */
  private toldAnew(from: number, message: PeerMessage): void {
    const { kind, token, number } = message;
    if (kind === Kind.CLOSE) return;
    if (kind !== Kind.DATA || number !== 0 || from > this.options.id) {
      this.publish(from, encodePeerMessage(Kind.CLOSE, token, 0, 0));
      return;
    }
    const peer = this.peerOf(from);
    peer.wire?.close('the other Limpet has begun anew');
    const wire = this.wireTo(peer, token);
    wire.events = this.host.open(wire, true);
    wire.received(message);
  }

  private wireTo(peer: Peer, token: number): PeerWire {
    const { engine } = this;
    const wire = new PeerWire(token, {
      maxPayload: (engine as Engine).maxPayload,
      publish: (bytes) => this.engine?.publish(peer.to, bytes),
      forget: () => {
        if (peer.wire === wire) peer.wire = null;
        peer.wait = peer.delay;
        peer.delay = Math.min(peer.delay * 2, LAST_DELAY);
      },
    });
    peer.wire = wire;
    peer.marked = 0;
    return wire;
  }

  /** What was sent on each wire, where it is more than at the last call. */
  marks(): WireMark[] {
    const marks: WireMark[] = [];
    for (const peer of this.peers.values()) {
      const { id, wire } = peer;
      wire?.flush();
      if (wire === null || wire.messagesSent === peer.marked) continue;
      peer.marked = wire.messagesSent;
      marks.push({ peer: id, token: wire.token, count: wire.messagesSent });
    }
    return marks;
  }

  /** Whether all that another Limpet sent on a wire before this mark has come; true if it never will. */
  hasCome({ token, count }: WireMark, from: number): boolean {
    const wire = this.peers.get(from)?.wire ?? null;
    return wire?.token !== token || ((count - wire.messagesReceived) | 0) <= 0;
  }

  /** The Limpets have agreed to be joined. */
  agreed({ id, life }: Address): void {
    const peer = this.peers.get(id);
    if (peer === undefined) return;
    peer.life = life;
    peer.delay = FIRST_DELAY;
    peer.wasJoined = true;
  }

  private publish(to: number, bytes: Uint8Array): void {
    this.engine?.publish(this.subject(to), bytes);
  }

  /** The subject of messages to the Limpet with this id. */
  private subject(to: number): string {
    return `${this.prefix}.to.${to}.${this.options.id}`;
  }
}

function idOf(word = ''): number {
  const id = /^[1-9]\d{0,9}$/.test(word) ? Number(word) : 0;
  return id <= 0xffff_ffff ? id : 0;
}

function readGreeting(bytes: Uint8Array): Greeting | null {
  if (bytes.length > MAX_GREETING) return null;
  try {
    const { version, life, bus, mode } = JSON.parse(Buffer.from(bytes).toString()) as Greeting;
    const isValid = Number.isInteger(version) && Number.isSafeInteger(life) && life > 0;
    if (!isValid || typeof bus !== 'string') return null;
    return { version, life, bus, mode: mode === 'stream' ? 'stream' : 'core' };
  } catch {
    return null;
  }
}
