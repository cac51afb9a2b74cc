import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { plainMemory } from '../../src/base/memory.ts';
import { Slab } from '../../src/base/slab.ts';
import type { Bus } from '../../src/bus/bus.ts';
import type { Chunks } from '../../src/daemon/chunks.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import type { OpCode } from '../../src/message/calls.ts';
import { Op } from '../../src/message/calls.ts';
import type { Message } from '../../src/message/message.ts';
import type { Channel } from '../../src/transport/channel.ts';
import {
  type Frame,
  type FrameParts,
  frame,
  framesOf,
  hello,
  messagesFrame,
} from '../support/frames.ts';
import { unlimitedTurns } from '../support/unlimited-turns.ts';

export class Host implements SessionHost {
  readonly flushes = new FlushScheduler();
  readonly turns = unlimitedTurns();
  readonly chunks: Chunks | null = null;
  readonly slab = new Slab(65_536, plainMemory);
  readonly pid = 4242;
  readonly warnings: string[] = [];
  made = 0;
  newDevice: () => Promise<number> = async () => ++this.made;

  warn(text: string): void {
    this.warnings.push(text);
  }
}

const MESSAGES: ReadonlySet<string> = new Set(['PREFETCH', 'PREFETCH_URGENT', 'TAKEN', 'ANSWER']);

/** A client that says what the test says, and the session that it talks to, with nothing between them. */
export class Peer implements Channel {
  readonly session: Session;
  /** How many frames each write of the daemon had. */
  readonly writes: number[] = [];
  /** How many pieces of memory each write of the daemon had. */
  readonly pieces: number[] = [];
  /** The memory in which the pieces of the last write lie. */
  memory = new Set<ArrayBufferLike>();
  /** How many messages each frame of messages had. */
  readonly batches: number[] = [];
  /** Bytes that the session believes are still in this process. */
  backlog = 0;
  isPaused = false;
  isEnded = false;
  /** It is sent nothing from the moment on in which it reads no more. */
  reads = true;
  private rest: Uint8Array = new Uint8Array(0);
  private heard: Frame[] = [];
  private token = 1000;
  private unwritten: (() => void)[] = [];

  constructor(host: Host, bus: Bus) {
    this.session = new Session(host, bus, this);
  }

  /** One that has been welcomed. */
  static open(host: Host, bus: Bus, mode?: number): Peer {
    const peer = new Peer(host, bus);
    peer.say(hello(mode));
    peer.hear();
    return peer;
  }

  write(pieces: readonly Uint8Array[], written?: () => void): void {
    const bytes = Buffer.concat(pieces);
    if (written !== undefined) this.unwritten.push(written);
    this.pieces.push(pieces.length);
    this.memory = new Set(pieces.map(({ buffer }) => buffer));
    if (!this.reads) this.backlog += bytes.length;
    const { frames, rest, whole } = framesOf(Buffer.concat([this.rest, bytes]));
    this.rest = rest;
    this.heard.push(...frames);
    this.writes.push(whole.length);
    for (const one of whole) {
      if (MESSAGES.has(one.kind)) this.batches.push(one.words[0] as number);
    }
    if (this.reads) this.wrote();
  }

  private wrote(): void {
    for (const written of this.unwritten) written();
    this.unwritten = [];
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.isEnded = true;
  }

  /** Says it all in one chunk. */
  say(...frames: Uint8Array[]): void {
    const bytes = Uint8Array.from(Buffer.concat(frames));
    this.session.received(bytes, 0, bytes.length);
  }

  /** Reads what there was, and goes on reading. */
  drain(): void {
    this.reads = true;
    this.backlog = 0;
    this.wrote();
    this.session.drained();
  }

  /** What the daemon has said since it was asked last. */
  hear(): Frame[] {
    const { heard } = this;
    this.heard = [];
    return heard;
  }

  kinds(): string[] {
    return this.hear().map(({ kind }) => kind);
  }

  /** Makes a call, and gives the answer to it. */
  call(op: OpCode, argument = 0, text?: string): Frame {
    const token = this.token++;
    this.say(call(op, token, argument, text));
    const answer = this.heard.find((one) => one.token === token);
    this.heard = this.heard.filter((one) => one !== answer);
    if (answer === undefined) throw new Error(`no answer to the call ${op}`);
    return answer;
  }

  bind(name: string, replier = false): Frame {
    return this.call(Op.BIND, replier ? 1 : 0, name);
  }
}

export function call(op: OpCode, token: number, argument = 0, text?: string): Buffer {
  const parts: FrameParts = { detail: op, token, words: [argument] };
  return frame('CALL', text === undefined ? parts : { ...parts, text });
}

export function send(message: Message, token: number, detail = 0): Buffer {
  return messagesFrame('SEND', [message], { token, detail });
}
