import type { Message } from '../../message/message.ts';
import { checkBindingName } from '../../message/name.ts';
import type { Address } from '../hub/address.ts';
import type { ClassicPort } from '../hub/classic-port.ts';
import type { Frame } from '../hub/frame.ts';
import type { Link } from '../hub/link.ts';
import { linkOf } from '../hub/neighbours.ts';
import { intersections } from '../hub/patterns.ts';
import type { SizeLimit } from '../hub/size-limit.ts';
import { LINK_COST, SIBLING_COST } from '../hub/topology.ts';
import {
  decodeClassic,
  decodeGreeting,
  encodeClassic,
  encodeGreeting,
  HELO,
} from './classic-codec.ts';
import { FrameSplitter } from './frame-splitter.ts';
import {
  Decoder,
  Encoder,
  type Hello,
  Kind,
  LinkError,
  MAGIC,
  MAX_FRAME,
  MAX_HELLO,
  VERSION,
} from './native-codec.ts';
import type { Wire, WireEvents } from './wire.ts';

/** More than this in the way to a peer, in bytes, and the hub sends no more messages until it has gone. */
const MAX_BACKLOG = 1024 * 1024;

/** More than this, and it passes no messages of other Limpets on either: it asks for them again later. */
const MAX_FLOOD = 32 * 1024 * 1024;

/** A peer that sends nothing for so many ticks is lost; it gets a PING when it has been silent for `PING_AFTER`. */
const LOST_AFTER = 15;
const PING_AFTER = 3;

/** How the peer is greeted, and what may pass. */
export interface Greeting {
  readonly isServer: boolean;
  /** The link is a classic one. A server without this takes classic Limpets as well. */
  readonly isClassic: boolean;
  readonly isSibling: boolean;
  /** The number of the link in the configuration of this Limpet. */
  readonly number: number;
  /** The number of the federation; 0: in none. */
  readonly federation: number;
  readonly out: readonly string[];
  readonly in: readonly string[];
  readonly limit: SizeLimit | null;
}

/** What a connection needs of its Limpet. */
export interface ConnectionHost {
  readonly address: Address;
  /** What identifies the bus. */
  readonly bus: string;
  now(): number;
  /** Why this peer may not be joined; '' if it may. */
  refuse(hello: Hello, connection: Connection): string;
  linkUp(connection: Connection, link: Link): void;
  received(link: Link, frame: Frame): void;
  drained(link: Link): void;
  /** All frames of a piece of input have been given. */
  flush(): void;
  /** Why this classic Limpet may not be joined; '' if it may. */
  refuseClassic(id: number): string;
  classicUp(connection: Connection, id: number): ClassicPort;
  /** `isFinal`: it will be so again at the next attempt. */
  closed(connection: Connection, why: string, isFinal: boolean): void;
}

type State = 'greeting' | 'native' | 'classic greeting' | 'classic' | 'closed';

/** One connection to another Limpet, from its first byte to its end. */
export class Connection implements WireEvents {
  readonly greeting: Greeting;
  /** Of a native link that is up. */
  link: Link | null = null;
  hello: Hello | null = null;
  /** Of a classic link that is up. */
  classic: ClassicPort | null = null;
  /** Milliseconds; null before the first PONG. */
  roundTrip: number | null = null;
  bytesSent = 0;
  bytesReceived = 0;
  private readonly host: ConnectionHost;
  private wire: Wire | null = null;
  private state: State = 'greeting';
  private readonly splitter = new FrameSplitter();
  private readonly encoder = new Encoder();
  private readonly decoder = new Decoder();
  private silence = 0;
  private why = '';
  private isFinal = false;

  constructor(greeting: Greeting, host: ConnectionHost) {
    this.greeting = greeting;
    this.host = host;
  }

  begin(wire: Wire): void {
    this.wire = wire;
    const { isClassic, isServer } = this.greeting;
    if (isClassic) this.write(encodeGreeting(this.host.address.id));
    else if (!isServer) this.sendHello();
  }

  private write(...pieces: Uint8Array[]): void {
    for (const { length } of pieces) this.bytesSent += length;
    this.wire?.write(...pieces);
  }

  private sendHello(): void {
    const magic = Buffer.alloc(4);
    magic.writeUInt32BE(MAGIC);
    this.write(magic);
    const { address, bus } = this.host;
    const { number: link, isSibling, out, in: into } = this.greeting;
    const hello: Hello = { version: VERSION, ...address, bus, link, isSibling, out, in: into };
    this.write(this.encoder.json(Kind.HELLO, hello));
  }

  // Events of the wire

  received(bytes: Uint8Array): void {
    this.bytesReceived += bytes.length;
    this.silence = 0;
    // The link ends: what the peer sends all the same must not fill the memory.
    if (this.why !== '') return;
    try {
      this.splitter.push(bytes, (all) => this.take(all));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.fail(`the peer broke the rules of the link: ${error.message}`, false);
    }
    this.host.flush();
  }

  drained(): void {
    if (this.link?.isCongested) this.host.drained(this.link);
  }

  closed(why: string): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.host.closed(this, this.why || why || 'the peer closed the link', this.isFinal);
  }

  /** How many bytes of these were used; or how many are needed, with the sign changed. */
  private take(bytes: Uint8Array): number {
    switch (this.state) {
      case 'greeting':
        return this.takeGreeting(bytes);
      case 'native':
        return this.takeFrame(bytes);
      case 'classic greeting': {
        const id = decodeGreeting(bytes);
        if (id < 0) return -8;
        this.meetClassic(id);
        return 8;
      }
      case 'classic': {
        const decoded = decodeClassic(bytes);
        if (typeof decoded === 'number') return decoded;
        this.classic?.arrived(decoded.message);
        return decoded.length;
      }
      case 'closed':
        return bytes.length;
    }
  }

  private takeGreeting(bytes: Uint8Array): number {
    if (bytes.length < 4) return -4;
    const { isClassic, isServer } = this.greeting;
    const word = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (word === HELO) {
      if (!isClassic && !isServer) {
        this.fail(
          'the other Limpet is a classic one: start this one with --classic (classic in the configuration)',
          true,
        );
        return bytes.length;
      }
      if (!isClassic) this.write(encodeGreeting(this.host.address.id));
      this.state = 'classic greeting';
      return this.take(bytes);
    }
    if (word !== MAGIC) throw new LinkError('what answers there is no Limpet');
    if (isClassic) {
      this.fail('the other Limpet is no classic one: leave out --classic at this end', true);
      return bytes.length;
    }
    if (isServer) this.sendHello();
    this.state = 'native';
    return 4;
  }

  private meetClassic(id: number): void {
    const why = this.host.refuseClassic(id);
    if (why !== '') {
      this.fail(why, true);
      return;
    }
    this.state = 'classic';
    this.classic = this.host.classicUp(this, id);
  }

  private takeFrame(bytes: Uint8Array): number {
    if (bytes.length < 5) return -5;
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    // A peer that has not said who it is must not fill the memory.
    const most = this.hello === null ? MAX_HELLO : MAX_FRAME;
    if (length < 5 || length > most) throw new LinkError(`a frame of ${length} bytes`);
    if (bytes.length < length) return -length;
    const decoded = this.decoder.decode(bytes.subarray(0, length));
    switch (decoded.kind) {
      case 'hello':
        this.meet(decoded.hello);
        break;
      case 'frame':
        if (this.link === null) throw new LinkError(`'${decoded.frame.kind}' before HELLO`);
        this.host.received(this.link, decoded.frame);
        break;
      case 'ping':
        this.write(this.encoder.echo(Kind.PONG, decoded.token));
        break;
      case 'pong':
        this.roundTrip = this.host.now() - Buffer.from(decoded.token).readDoubleBE();
        break;
      case 'farewell':
        this.why = `the other Limpet says: ${decoded.why}`;
        this.isFinal = decoded.isFinal;
        this.wire?.end();
        break;
    }
    return length;
  }

  private meet(hello: Hello): void {
    if (this.hello !== null) throw new LinkError('a second HELLO');
    for (const pattern of [...hello.in, ...hello.out]) {
      if (checkBindingName(pattern) !== 0) throw new LinkError(`'${pattern}' as a filter`);
    }
    const why = this.host.refuse(hello, this);
    if (why !== '') {
      this.fail(why, true);
      return;
    }
    this.hello = hello;
    const { number, isSibling, out, federation, limit } = this.greeting;
    const passes = intersections(out, hello.in);
    this.link = linkOf(
      number,
      { id: hello.id, life: hello.life },
      isSibling ? SIBLING_COST : LINK_COST,
      passes,
      federation,
      limit,
    );
    this.host.linkUp(this, this.link);
    this.ping();
  }

  /** Ends the connection, and tells the peer why. */
  fail(why: string, isFinal: boolean): void {
    if (this.state === 'closed' || this.why !== '') return;
    this.why = why;
    this.isFinal = isFinal;
    if (this.state === 'native') this.write(this.encoder.json(Kind.FAREWELL, { why, isFinal }));
    this.wire?.end();
  }

  destroy(): void {
    this.wire?.destroy();
  }

  // What the Limpet does

  /** False if the peer reads slowly. */
  send(frame: Frame): boolean {
    this.write(...this.encoder.pieces(frame));
    const backlog = this.wire?.backlog ?? 0;
    if (backlog >= MAX_FLOOD && this.link !== null) this.link.isFlooded = true;
    return backlog < MAX_BACKLOG;
  }

  sendClassic(message: Message): void {
    this.write(encodeClassic(message));
  }

  pause(isPaused: boolean): void {
    if (isPaused) this.wire?.pause();
    else this.wire?.resume();
  }

  tick(): void {
    this.silence++;
    const isNative = this.state === 'native';
    const isGreeting = this.state === 'greeting' || this.state === 'classic greeting';
    if (this.silence > LOST_AFTER && (isNative || isGreeting)) {
      this.why ||= `the peer was silent for ${LOST_AFTER} seconds`;
      this.wire?.destroy();
    } else if (isNative && this.link !== null && this.silence >= PING_AFTER) {
      this.ping();
    }
  }

  private ping(): void {
    const token = Buffer.alloc(8);
    token.writeDoubleBE(this.host.now());
    this.write(this.encoder.echo(Kind.PING, token));
  }
}
