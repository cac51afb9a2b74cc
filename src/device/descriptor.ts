import { LITTLE_ENDIAN } from '../base/endianness.ts';
import type { FlushScheduler } from '../base/flush-scheduler.ts';
import type { Access } from '../bus/access.ts';
import type { Bus } from '../bus/bus.ts';
import { type Outcome, perform } from '../bus/driver/perform.ts';
import type { Identity } from '../bus/identity.ts';
import type { BusKsock } from '../bus/ksock.ts';
import type { KsockOwner, Progress } from '../bus/ksock-state.ts';
import type { Share } from '../bus/memory.ts';
import { batchOfMessage } from '../bus/message-batch.ts';
import { DEVICE_MAX_MESSAGES } from '../bus/settings.ts';
import { type Answer, NOTHING } from '../fuse/answer.ts';
import type { Kernel } from '../fuse/filesystem.ts';
import { IOCTL_COMPAT, type Request } from '../fuse/request.ts';
import type { Mode, OpCode } from '../message/calls.ts';
import { Op } from '../message/calls.ts';
import { Assembler } from '../message/codec/assembler.ts';
import { decoded } from '../message/codec/device.ts';
import { Errno } from '../message/errno.ts';
import { messageOf } from '../message/message.ts';
import { MAX_NAME } from '../message/name.ts';
import { entireOf } from './bytes.ts';
import type { Caller, CallerMemory } from './caller-memory.ts';
import { Ioctl } from './ioctl.ts';

/** POLL bits. */
export const Poll = {
  IN: 0x1,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  RDNORM: 0x40,
  WRNORM: 0x100,
} as const;
const READABLE = Poll.IN | Poll.RDNORM;
const WRITABLE = Poll.OUT | Poll.WRNORM;

const EINTR = 4;
const EIO = 5;

/**
 * How long a request may go on after a signal to its caller. The kernel module's calls did not end early at a signal,
 * and programs with a timer don't expect it: a request is given up only when it would keep its caller from being killed.
 */
const INTERRUPT_TIMEOUT_MS = 1000;

/** What all descriptors of a device have in common. */
export interface DescriptorHost {
  readonly memory: CallerMemory;
  readonly flushes: FlushScheduler;
  /** Creates the next bus; resolves with its number once that can be opened, or with -errno. */
  newDevice(): Promise<number>;
}

/** The requests that an open bus answers. */
export type KsockRequest = Request<'read' | 'write' | 'ioctl' | 'poll'>;

/** An answer that has to wait. Its promise resolves with the rest of the work, skipped if the request was given up. */
type Later = Promise<() => Answer>;

/** ENOMEM: this process had no free descriptor to read the caller's memory with; the program may call again. */
function later<T>(pending: Promise<T>, finish: (result: T) => Answer): Later {
  return pending.then(
    (result) => () => finish(result),
    () => () => refusal(Errno.ENOMEM),
  );
}

/** The ioctls that are plain calls of the bus, as in every driver. */
const CALLS: ReadonlyMap<number, OpCode> = new Map([
  [Ioctl.LASTSENT, Op.LAST_MSG_ID],
  [Ioctl.MAXMSGS, Op.MAX_MESSAGES],
  [Ioctl.NUMMSGS, Op.NUM_MESSAGES],
  [Ioctl.UNREPLIEDTO, Op.NUM_UNREPLIED_TO],
  [Ioctl.MSGONLYONCE, Op.WANT_MESSAGES_ONCE],
  [Ioctl.VERBOSE, Op.VERBOSE],
  [Ioctl.REPORTREPLIERBINDS, Op.REPORT_REPLIER_BINDS],
  [Ioctl.MAXMSGSIZE, Op.MAX_MESSAGE_SIZE],
]);

const NO_BYTES = new Uint8Array(0);
const latin1 = new TextDecoder('latin1');

/**
 * One open file of a bus, which is one Ksock, however many descriptors, threads and programs share it. It handles its
 * requests in order: while one waits for its caller's memory, those of other threads queue behind it. Other files go on.
 */
export class Descriptor implements KsockOwner {
  private readonly host: DescriptorHost;
  private readonly bus: Bus;
  private readonly ksock: BusKsock;
  private readonly assembler = new Assembler();
  /** The message that is being read; empty once it is read to its end. */
  private unread: Uint8Array = NO_BYTES;
  private unreadAt = 0;
  /** The waiting request, and those that queue behind it. */
  private current: KsockRequest | null = null;
  private behind: KsockRequest[] = [];
  /** Wakes the threads that poll, once. */
  private wakePollers: (() => void) | null = null;
  private isDirty = false;
  /** Another Ksock has ended this one. */
  private isKicked = false;

  constructor(
    host: DescriptorHost,
    bus: Bus,
    mode: Mode,
    who: Identity,
    access: Access | null,
    share: Share,
  ) {
    this.host = host;
    this.bus = bus;
    const maxMessages = Math.min(bus.settings.maxMessages, DEVICE_MAX_MESSAGES);
    // The module let read-only Ksocks bind as Repliers.
    const options = { mode, who, access, share, maxMessages, readOnlyReplies: true };
    this.ksock = bus.open(this, options);
    this.ksock.progress = () => this.progress();
  }

  // Events of the bus

  queued(): void {
    this.markDirty();
  }

  answered(): void {
    throw new Error('a Request of a device file has no token');
  }

  /** Wakes the threads that wait to write: their poll then sends the waiting message again. */
  roomMade(): void {
    this.markDirty();
  }

  /** From now on, calls get ECONNABORTED; threads that poll are woken. */
  kicked(): void {
    this.isKicked = true;
    this.dropUnread();
    this.assembler.clear();
    this.markDirty();
  }

  private markDirty(): void {
    if (this.isDirty || this.wakePollers === null) return;
    this.isDirty = true;
    this.host.flushes.markDirty(this);
  }

  flush(): void {
    this.isDirty = false;
    this.wakePollers?.();
    this.wakePollers = null;
  }

  private progress(): Progress {
    return {
      readAt: this.unreadAt,
      readLength: this.unread.length,
      wroteAt: this.assembler.position,
      wrotePart: this.assembler.part,
      wroteAll: this.assembler.isComplete,
    };
  }

  // Requests of the kernel

  handle(request: KsockRequest, kernel: Kernel): void {
    // A read never queues: the waiting request may need this very page, mapped from this file.
    if (this.current !== null && request.op !== 'read') {
      this.behind.push(copyOf(request));
      return;
    }
    const wasSending = this.ksock.isSending;
    const outcome = this.perform(request, kernel);
    if (outcome instanceof Promise) void this.wait(request, outcome, kernel);
    else kernel.answer(request, outcome);
    if (wasSending && !this.ksock.isSending) this.markDirty();
  }

  private async wait(request: KsockRequest, pending: Later, kernel: Kernel): Promise<void> {
    this.current = request;
    const finish = await pending;
    if (this.current !== request) return;
    this.current = null;
    const wasSending = this.ksock.isSending;
    kernel.answer(request, this.isKicked ? refusal(Errno.ECONNABORTED) : finish());
    if (wasSending && !this.ksock.isSending) this.markDirty();
    this.goOn(kernel);
  }

  private goOn(kernel: Kernel): void {
    while (this.current === null && this.behind.length > 0) {
      this.handle(this.behind.shift() as KsockRequest, kernel);
    }
    this.host.flushes.flush();
  }

  /** The caller of a request got a signal: gives the request up if it is not answered within the timeout. */
  interrupt(unique: bigint, kernel: Kernel): void {
    if (this.current === null) return;
    // If this process was stopped, the memory may have arrived meanwhile: handle that first.
    const giveUp = (): void => void setImmediate(() => this.giveUp(unique, kernel));
    setTimeout(giveUp, INTERRUPT_TIMEOUT_MS).unref();
  }

  private giveUp(unique: bigint, kernel: Kernel): void {
    const { current } = this;
    if (current?.unique === unique) {
      this.current = null;
      kernel.answer(current, refusal(EINTR));
      this.goOn(kernel);
      return;
    }
    const at = this.behind.findIndex((request) => request.unique === unique);
    if (at < 0) return;
    const [request] = this.behind.splice(at, 1) as [KsockRequest];
    kernel.answer(request, refusal(EINTR));
  }

  /** The file was closed for the last time. */
  close(): void {
    this.current = null;
    this.behind = [];
    this.wakePollers = null;
    this.ksock.close();
  }

  private perform(request: KsockRequest, kernel: Kernel): Answer | Later {
    if (this.isKicked) {
      if (request.op === 'poll') return { kind: 'poll', events: Poll.ERR | Poll.HUP };
      return refusal(Errno.ECONNABORTED);
    }
    switch (request.op) {
      case 'read':
        // This daemon reads a caller's memory that is a mapping of this file.
        if (this.host.memory.isOurs(request.pid)) return refusal(EIO);
        return { kind: 'data', data: this.read(request.size) };
      case 'write':
        return this.write(request.data);
      case 'poll':
        return { kind: 'poll', events: this.poll(request, kernel) };
      case 'ioctl':
        return this.ioctl(request);
    }
  }

  private read(count: number): Uint8Array {
    const bytes = this.unread.subarray(this.unreadAt, this.unreadAt + count);
    this.unreadAt += bytes.length;
    if (this.unreadAt === this.unread.length) this.dropUnread();
    return bytes;
  }

  private dropUnread(): void {
    this.unread = NO_BYTES;
    this.unreadAt = 0;
  }

  private write(bytes: Uint8Array): Answer {
    if (this.ksock.mode === 'r') return refusal(Errno.EBADF);
    if (this.ksock.isSending) return refusal(Errno.EALREADY);
    const { bus, ksock } = this;
    const wrong = this.assembler.write(bytes, bus.maxMessageSize(0), (requester, request) =>
      ksock.maxReplySize(requester, request.networkId, request.serialNum),
    );
    return wrong === 0 ? { kind: 'written', size: bytes.length } : refusal(wrong);
  }

  private poll(request: Request<'poll'>, kernel: Kernel): number {
    const { pollHandle } = request;
    if (request.notify) this.wakePollers = () => kernel.wake(pollHandle);
    let events = 0;
    // ksock.poll() also tries to send a waiting message again.
    if ((request.events & WRITABLE) !== 0 && this.ksock.poll()) events |= WRITABLE;
    if (this.ksock.numMessages > 0) events |= READABLE;
    return events;
  }

  private ioctl(request: Request<'ioctl'>): Answer | Later {
    const { ksock } = this;
    if ((request.flags & IOCTL_COMPAT) !== 0) return refusal(Errno.ENOTTY);
    switch (request.command) {
      case Ioctl.RESET:
        return words(0);
      case Ioctl.BIND:
        return this.withName(request, (name, isReplier) =>
          words(ksock.bind(name, isReplier !== 0)),
        );
      case Ioctl.UNBIND:
        return this.withName(request, (name, isReplier) =>
          words(ksock.unbind(name, isReplier !== 0)),
        );
      case Ioctl.KSOCKID:
        return words(0, ksock.id);
      case Ioctl.REPLIER:
        return this.withName(request, (name) => {
          const id = ksock.findReplier(name);
          return id < 0 ? words(id) : words(id === 0 ? 0 : 1, id);
        });
      case Ioctl.NEXTMSG: {
        const batch = ksock.take();
        this.dropUnread();
        if (batch === null) return words(0, 0);
        this.unread = entireOf(batch, ksock.tookRequest);
        return words(1, this.unread.length);
      }
      case Ioctl.LENLEFT:
        return words(0, this.unread.length - this.unreadAt);
      case Ioctl.SEND:
        return this.send(request);
      case Ioctl.DISCARD:
        this.assembler.clear();
        return words(ksock.discard());
      case Ioctl.NEWDEVICE:
        return this.newDevice();
      default:
        return this.plainCall(request);
    }
  }

  private newDevice(): Answer | Later {
    const refused = perform(this.ksock, Op.NEW_DEVICE, 0, '');
    return refused === null ? later(this.host.newDevice(), value) : words(refused.first);
  }

  /** A call with at most one word as argument, and one or two as result. */
  private plainCall({ command, input }: Request<'ioctl'>): Answer {
    const op = CALLS.get(command);
    if (op === undefined) return refusal(Errno.ENOTTY);
    const argument = input.length < 4 ? 0 : wordAt(input, 0);
    const { first, second } = perform(this.ksock, op, argument, '') as Outcome;
    if (first < 0) return words(first);
    return op === Op.LAST_MSG_ID ? words(0, first, second) : words(0, first);
  }

  /**
   * The argument is struct {u32 flag; u32 name_len; char *name}, of which the kernel copied the first 8 bytes; fewer
   * are refused. Too long a name is refused without reading it.
   */
  private withName(
    request: Request<'ioctl'>,
    then: (name: string, flag: number) => Answer,
  ): Answer | Later {
    if (request.input.length < 8) return refusal(Errno.EINVAL);
    const flag = wordAt(request.input, 0);
    const length = wordAt(request.input, 4);
    if (length > MAX_NAME) return refusal(Errno.ENAMETOOLONG);
    if (length === 0) return then('', flag);
    const caller = callerOf(request);
    return later(this.readName(caller, request.argument + 8n, length), (name) =>
      name === null ? refusal(Errno.EFAULT) : then(name, flag),
    );
  }

  private async readName(caller: Caller, at: bigint, length: number): Promise<string | null> {
    const { memory } = this.host;
    const pointer = await memory.read(caller, at, 8);
    if (pointer === null) return null;
    const address = new DataView(pointer.buffer).getBigUint64(0, LITTLE_ENDIAN);
    const name = await memory.read(caller, address, length);
    return name === null ? null : latin1.decode(name);
  }

  private send(request: Request<'ioctl'>): Answer | Later {
    const { ksock, assembler } = this;
    if (ksock.isSending) return this.sent(ksock.resend());
    if (assembler.isEmpty) return refusal(Errno.ENOMSG);
    if (!assembler.isComplete) {
      assembler.clear();
      return refusal(Errno.EINVAL);
    }
    const { pointy } = assembler;
    if (pointy === null) {
      const message = assembler.message();
      assembler.clear();
      return this.sent(ksock.send(batchOfMessage(message, message.data)));
    }
    const { memory } = this.host;
    const caller = callerOf(request);
    const parts = [
      memory.read(caller, pointy.namePointer, pointy.nameLength),
      pointy.dataLength === 0
        ? NO_BYTES
        : memory.read(caller, pointy.dataPointer, pointy.dataLength),
    ] as const;
    return later(Promise.all(parts), ([name, data]) => {
      // Not before: a SEND that was given up can be repeated.
      assembler.clear();
      if (name === null || data === null) return refusal(Errno.EFAULT);
      const message = messageOf(decoded(pointy, name, data));
      return this.sent(ksock.send(batchOfMessage(message, data)));
    });
  }

  /** Even a message that waits (EAGAIN) has an id, which its sender gets. */
  private sent(result: number): Answer {
    if (result < 0 && result !== -Errno.EAGAIN) return refusal(-result);
    return words(result, this.ksock.lastNetwork, this.ksock.lastSerial);
  }
}

/** A request whose bytes outlast `handle`. (The `slice` of a Buffer is not a copy.) */
function copyOf(request: KsockRequest): KsockRequest {
  if (request.op === 'write') return { ...request, data: new Uint8Array(request.data) };
  return request.op === 'ioctl' ? { ...request, input: new Uint8Array(request.input) } : request;
}

function callerOf({ handle, pid, uid }: Request<'ioctl'>): Caller {
  return { handle, pid, uid };
}

function wordAt(input: Uint8Array, at: number): number {
  return new DataView(input.buffer, input.byteOffset, input.length).getUint32(at, LITTLE_ENDIAN);
}

/** Answers an ioctl: `result` is its return value, or -errno; `output` is written to its argument. */
function words(result: number, ...output: number[]): Answer {
  if (output.length === 0) return { kind: 'ioctl', result, output: NOTHING };
  return { kind: 'ioctl', result, output: new Uint8Array(new Uint32Array(output).buffer) };
}

/** Answers an ioctl with one u32, or with -errno. */
function value(result: number): Answer {
  return result < 0 ? words(result) : words(0, result);
}

function refusal(errno: number): Answer {
  return { kind: 'error', errno };
}
