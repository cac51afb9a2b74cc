import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { Buses } from '../../src/bus/buses.ts';
import { UNKNOWN } from '../../src/bus/identity.ts';
import type { KsockOwner } from '../../src/bus/ksock-state.ts';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { CallerMemory } from '../../src/device/caller-memory.ts';
import { Device } from '../../src/device/device.ts';
import { Ioctl } from '../../src/device/ioctl.ts';
import { type Answer, OpenFlag } from '../../src/fuse/answer.ts';
import type { Kernel } from '../../src/fuse/filesystem.ts';
import { IOCTL_COMPAT, type Operation, type Request } from '../../src/fuse/request.ts';
import { codeOf, Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Message, Request as RequestMessage } from '../../src/message/message.ts';

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const POLLIN = 0x41;
const POLLOUT = 0x104;
const ASK = 0xffff_ffff;

/** A program that nobody has: addresses in its memory, and what is there, when it is let through. */
class Program extends CallerMemory {
  readonly memory = new Map<bigint, Uint8Array>();
  readonly asked: bigint[] = [];
  readonly forgotten: number[] = [];
  ours = 0;
  /** There is no descriptor to read it by. */
  isOutOfReach = false;
  private held: (() => void)[] | null = null;

  hold(): void {
    this.held = [];
  }

  async let(): Promise<void> {
    for (const go of this.held ?? []) go();
    this.held = null;
    await vi.waitFor(() => {});
  }

  override async read(_: unknown, address: bigint, length: number): Promise<Uint8Array | null> {
    this.asked.push(address);
    if (this.isOutOfReach) throw new Error('EMFILE');
    const { held } = this;
    if (held !== null) await new Promise<void>((go) => held.push(go));
    const bytes = this.memory.get(address);
    return bytes === undefined || bytes.length < length ? null : bytes.slice(0, length);
  }

  override isOurs(pid: number): boolean {
    return pid === this.ours;
  }

  override forget(handle: number): void {
    this.forgotten.push(handle);
  }
}

const NOBODY: KsockOwner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** The kernel's side of a device: it asks, and keeps the answers. */
class Asker implements Kernel {
  readonly buses = new Buses(2);
  readonly program = new Program();
  readonly device: Device;
  readonly answers = new Map<bigint, Answer>();
  readonly woken: bigint[] = [];
  newDevice: () => Promise<number> = async () => this.buses.newDevice();
  maxFiles = 1000;
  private unique = 0n;

  constructor() {
    const host = {
      flushes: new FlushScheduler(),
      buses: this.buses,
      isFull: () => this.device.openFiles >= this.maxFiles,
      newDevice: () => this.newDevice(),
    };
    this.device = new Device(host, { mode: 0o660, uid: 7, gid: 8 }, this.program);
  }

  get bus(): Bus {
    return this.buses.get(0) as Bus;
  }

  answer(request: Request, answer: Answer): void {
    if (this.answers.has(request.unique)) throw new Error(`${request.op} was answered twice`);
    // What is answered is written at once, so it is what it is now.
    this.answers.set(request.unique, structuredClone(answer));
  }

  wake(pollHandle: bigint): void {
    this.woken.push(pollHandle);
  }

  /** Asks; the answer may come later. */
  start(operation: Operation, node = 1, pid = 1): bigint {
    const unique = ++this.unique;
    const request = { ...operation, opcode: 0, unique, node, uid: 1, gid: 1, pid } as Request;
    this.device.handle(request, this);
    // The bytes were only lent.
    for (const lent of [request].map((all) =>
      'data' in all ? all.data : 'input' in all ? all.input : null,
    )) {
      lent?.fill(0xee);
    }
    return unique;
  }

  ask(operation: Operation, node = 1, pid = 1): Answer {
    const answer = this.answers.get(this.start(operation, node, pid));
    if (answer === undefined) throw new Error(`${operation.op} was not answered at once`);
    return answer;
  }

  /** The answer to what was started, once it has come. */
  async answerTo(unique: bigint): Promise<Answer> {
    return vi.waitFor(() => {
      const answer = this.answers.get(unique);
      if (answer === undefined) throw new Error('there is no answer yet');
      return answer;
    });
  }

  node(name: string): number {
    const answer = this.ask({ op: 'lookup', name });
    if (answer.kind !== 'entry') throw new Error(`no ${name}: ${JSON.stringify(answer)}`);
    return answer.attributes.node;
  }

  open(flags = O_RDWR, name = 'kbus0'): File {
    const answer = this.ask({ op: 'open', flags }, this.node(name));
    if (answer.kind !== 'opened') throw new Error(`${name}: ${JSON.stringify(answer)}`);
    return new File(this, answer.handle);
  }
}

class File {
  readonly asker: Asker;
  readonly handle: number;
  private at = 0x1000n;

  constructor(asker: Asker, handle: number) {
    this.asker = asker;
    this.handle = handle;
  }

  operation(command: number, words: readonly number[] = [0, 0], argument = 0x10n): Operation {
    const size = (command >>> 16) & 0x3fff;
    const input = new Uint8Array(new Uint32Array(words).buffer).slice(0, size);
    const { handle } = this;
    return { op: 'ioctl', handle, flags: 0, command, argument, outputSize: size, input };
  }

  /** What it returns, or the code of what it refuses, and the words that it puts at its argument. */
  ioctl(command: number, ...words: number[]): unknown[] {
    return outcome(this.asker.ask(this.operation(command, words.length > 0 ? words : [0, 0])));
  }

  /** The argument is a struct that ends with a pointer to a name. */
  startWithName(command: number, word: number, name: string | null): bigint {
    const bytes = Buffer.from(name ?? 'nowhere', 'latin1');
    this.at += 0x1000n;
    const { memory } = this.asker.program;
    memory.set(this.at + 8n, new Uint8Array(new BigUint64Array([this.at + 64n]).buffer));
    if (name !== null) memory.set(this.at + 64n, bytes);
    return this.asker.start(this.operation(command, [word, bytes.length], this.at));
  }

  async withName(command: number, word: number, name: string | null): Promise<unknown[]> {
    return outcome(await this.asker.answerTo(this.startWithName(command, word, name)));
  }

  bind(name: string, replier = 0): Promise<unknown[]> {
    return this.withName(Ioctl.BIND, replier, name);
  }

  write(data: Uint8Array): unknown {
    const { handle } = this;
    const answer = this.asker.ask({ op: 'write', handle, offset: 0, data: data.slice() });
    if (answer.kind === 'written') return answer.size;
    return codeOf((answer as { errno: number }).errno);
  }

  read(size = 1 << 20): Buffer {
    const answer = this.asker.ask({ op: 'read', handle: this.handle, offset: 0, size });
    if (answer.kind !== 'data') throw new Error(JSON.stringify(answer));
    return Buffer.from(answer.data);
  }

  send(message: Message): unknown[] {
    expect(this.write(message.toBytes())).toBe(message.totalLength());
    return this.ioctl(Ioctl.SEND);
  }

  next(): Message | null {
    const [there, length] = this.ioctl(Ioctl.NEXTMSG);
    if (there === 0) return null;
    const bytes = this.read();
    expect(bytes.length).toBe(length);
    return Message.fromBytes(bytes);
  }

  poll(events: number, notify = false): number {
    const { handle } = this;
    const pollHandle = BigInt(handle) + 100n;
    const answer = this.asker.ask({ op: 'poll', handle, pollHandle, notify, events });
    return (answer as { events: number }).events;
  }

  close(): void {
    expect(this.asker.ask({ op: 'release', handle: this.handle })).toEqual({ kind: 'done' });
  }
}

function outcome(answer: Answer): unknown[] {
  if (answer.kind === 'error') return [codeOf(answer.errno) ?? answer.errno];
  if (answer.kind !== 'ioctl') throw new Error(JSON.stringify(answer));
  const { result, output } = answer;
  const words = new Uint32Array(
    output.buffer.slice(output.byteOffset, output.byteOffset + output.length),
  );
  return [result < 0 ? codeOf(-result) : result, ...words];
}

/** A pointy message in a program's memory. */
function pointy(name: string, data: string, { memory }: Program): Uint8Array {
  memory.set(0x8000n, Buffer.from(name, 'latin1'));
  memory.set(0x9000n, Buffer.from(data, 'latin1'));
  const bytes = new Announcement(name).toBytes().slice(0, 88);
  const view = new DataView(bytes.buffer);
  view.setUint32(56, data.length, true);
  view.setBigUint64(64, 0x8000n, true);
  view.setBigUint64(72, data.length === 0 ? 0n : 0x9000n, true);
  return bytes;
}

let asker: Asker;
beforeEach(() => {
  asker = new Asker();
});
afterEach(() => {
  vi.useRealTimers();
  asker.device.close();
});

describe('the folder of a device', () => {
  it('refuses further opens with ENOMEM at the limit of connections.', () => {
    const asker = new Asker();
    asker.maxFiles = 2;
    const first = asker.open();
    asker.open(O_RDONLY, 'stats');
    for (const [flags, name] of [
      [O_RDWR, 'kbus1'],
      [O_RDONLY, 'bindings'],
    ] as const) {
      const answer = asker.ask({ op: 'open', flags }, asker.node(name));
      expect(answer).toEqual({ kind: 'error', errno: Errno.ENOMEM });
    }
    expect(asker.bus.ksocks.size).toBe(1);
    first.close();
    asker.open();
  });

  it('refuses further opens with ENOMEM while programs hold as much memory as they may.', () => {
    const asker = new Asker();
    const first = asker.open();
    const share = asker.bus.memory.share('greedy');
    share.hold(asker.bus.memory.room);
    const open = () => asker.ask({ op: 'open', flags: O_RDWR }, asker.node('kbus1'));
    expect(open()).toEqual({ kind: 'error', errno: Errno.ENOMEM });
    share.hold(-share.held);
    expect(open()).toMatchObject({ kind: 'opened' });
    first.close();
  });

  it('has a file for each bus, and the texts', () => {
    expect(asker.ask({ op: 'lookup', name: 'kbus1' })).toMatchObject({
      attributes: { mode: 0o100660, uid: 7, gid: 8 },
    });
    expect(asker.ask({ op: 'lookup', name: 'stats' })).toMatchObject({
      attributes: { mode: 0o100440 },
    });
    expect(asker.ask({ op: 'getattr' })).toMatchObject({ attributes: { mode: 0o040750 } });
    const { data } = asker.ask({ op: 'readdir', handle: 0, offset: 0, size: 4096 }) as {
      data: Uint8Array;
    };
    for (const name of ['bindings', 'stats', 'kbus0', 'kbus1']) {
      expect(Buffer.from(data).includes(name)).toBe(true);
    }
  });

  it.for(['kbus2', 'kbus', 'kbus00', 'kbus-0', 'Kbus0', 'kbus0 ', '..'])(
    'has no %s, and creates none',
    (name) => {
      expect(asker.ask({ op: 'lookup', name })).toEqual({ kind: 'error', errno: Errno.ENOENT });
      expect(asker.ask({ op: 'create' })).toEqual({ kind: 'error', errno: Errno.ENOENT });
    },
  );

  it('has a file for a new bus at once', async () => {
    const file = asker.open();
    const made = asker.start(file.operation(Ioctl.NEWDEVICE));
    expect(outcome(await asker.answerTo(made))).toEqual([0, 2]);
    const other = asker.open(O_RDWR, 'kbus2');
    expect(other.ioctl(Ioctl.KSOCKID)).toEqual([0, 1]);
  });

  it('gives each lookup a new node with the same inode number, until it is forgotten', () => {
    const [one, two] = [asker.node('kbus0'), asker.node('kbus0')];
    expect(one).not.toBe(two);
    const inodes = [one, two].map(
      (node) =>
        (asker.ask({ op: 'getattr' }, node) as { attributes: { inode: number } }).attributes.inode,
    );
    expect(inodes[0]).toBe(inodes[1]);
    asker.start({ op: 'forget', forgotten: [{ node: one, lookups: 1 }] });
    expect(asker.ask({ op: 'open', flags: O_RDWR }, one)).toMatchObject({ errno: Errno.ENOENT });
    expect(asker.ask({ op: 'open', flags: O_RDWR }, two)).toMatchObject({ kind: 'opened' });
  });

  it('opens files as seekable and uncached', () => {
    const flags = OpenFlag.DIRECT_IO | OpenFlag.NOFLUSH;
    const [one, two] = [1, 2].map(() =>
      asker.ask({ op: 'open', flags: O_RDWR }, asker.node('kbus0')),
    );
    expect(one).toMatchObject({ kind: 'opened', flags });
    expect((one as { handle: number }).handle).not.toBe((two as { handle: number }).handle);
  });

  it('makes bindings and stats as a program reads them', async () => {
    const file = asker.open();
    await file.bind('$.Fred.*');
    const text = asker.open(O_RDONLY, 'bindings');
    const said = text.read().toString();
    expect(said.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      expect.stringMatching(/^ {2}0: {8}1 +\d+ {2}L {2}\$\.Fred\.\*$/),
      '',
    ]);
    const at = (offset: number, size = 1000): Answer =>
      asker.ask({ op: 'read', handle: text.handle, offset, size });
    const dataAt = (offset: number, size?: number): string =>
      Buffer.from((at(offset, size) as { data: Uint8Array }).data).toString();
    expect(dataAt(said.length)).toBe('');
    // From 0 on it begins anew, and goes on from there only.
    await file.bind('$.Fred', 1);
    expect(dataAt(0, 10)).toBe(said.slice(0, 10));
    expect(dataAt(10, 5)).toBe(said.slice(10, 15));
    expect(at(10, 5)).toEqual({ kind: 'error', errno: 29 });
    expect(at(16, 5)).toEqual({ kind: 'error', errno: 29 });
    expect(dataAt(15)).toContain('  R  $.Fred\n');
    expect(text.ioctl(Ioctl.KSOCKID)).toEqual(['ENOTTY']);
    expect(text.write(Buffer.from('x'))).toBe('EBADF');
    expect(asker.ask({ op: 'open', flags: O_RDWR }, asker.node('stats'))).toMatchObject({
      errno: Errno.EACCES,
    });
    text.close();
  });

  it('gives a text of any length in short reads, and keeps none of it', async () => {
    const peer = asker.bus.open(NOBODY, { who: { ...UNKNOWN, pid: 7 } });
    const names = Array.from({ length: 3000 }, (_, at) => `$.${'long'.repeat(40)}.n${at}`);
    for (const name of names) peer.bind(name, false);
    const text = asker.open(O_RDONLY, 'bindings');
    const lengths: number[] = [];
    let whole = '';
    for (;;) {
      const size = lengths.length % 2 === 0 ? 1_000_000 : 77;
      const answer = asker.ask({ op: 'read', handle: text.handle, offset: whole.length, size });
      const { data } = answer as { data: Uint8Array };
      if (data.length === 0) break;
      lengths.push(data.length);
      whole += Buffer.from(data).toString('latin1');
    }
    expect(lengths.slice(0, 4)).toEqual([65_536, 77, 65_536, 77]);
    const told = whole.split('\n').flatMap((line) => /L {2}(.*)$/.exec(line)?.[1] ?? []);
    expect(told).toEqual(names.reverse());
    text.close();
  });

  it('shows in stats how much of a message was read and written', async () => {
    const file = asker.open();
    await file.bind('$.A');
    file.send(new Announcement('$.A', 'Ahem'));
    file.ioctl(Ioctl.NEXTMSG);
    file.read(10);
    file.write(new Announcement('$.A', 'Ahem').toBytes().slice(0, 93));
    expect(asker.open(O_RDONLY, 'stats').read().toString()).toContain(
      'read byte 10 of 100, wrote byte 93 of DATA (not finished), not sending',
    );
  });

  it('refuses chmod and chown, and ignores changes of size and times', () => {
    const node = asker.node('kbus0');
    const attributes = { size: 0, mode: 0o777, owner: 1, group: 1 };
    expect(asker.ask({ op: 'setattr', valid: 1, ...attributes }, node)).toMatchObject({ errno: 1 });
    expect(asker.ask({ op: 'setattr', valid: 8, ...attributes }, node)).toMatchObject({
      kind: 'attributes',
      attributes: { mode: 0o100660 },
    });
  });
});

describe('an open bus', () => {
  it('sends and reads an entire message, every field of it', async () => {
    const [from, to] = [asker.open(), asker.open()];
    await to.bind('$.Hello.*');
    const message = new Announcement('$.Hello.There', 'Ahem!', {
      id: new MessageId(9, 5),
      origFrom: new OrigFrom(1, 2),
      finalTo: new OrigFrom(3, 4),
      flags: 0x10000,
    });
    expect(from.send(message)).toEqual([0, 9, 5]);
    const got = to.next() as Message;
    message.from = 1;
    expect(Buffer.from(got.toBytes())).toEqual(Buffer.from(message.toBytes()));
    expect(to.next()).toBeNull();
    expect(to.ioctl(Ioctl.NEXTMSG)).toEqual([0, 0]);
  });

  it('writes and reads a message in pieces of any size', async () => {
    const file = asker.open();
    await file.bind('$.A.B');
    const bytes = new Announcement('$.A.B', 'seven b').toBytes();
    for (const byte of bytes) expect(file.write(Uint8Array.of(byte))).toBe(1);
    expect(file.ioctl(Ioctl.SEND)).toEqual([0, 0, 1]);
    expect(file.read()).toHaveLength(0);
    const [, length] = file.ioctl(Ioctl.NEXTMSG) as [number, number];
    const pieces: Buffer[] = [];
    for (let left = length; left > 0; ) {
      expect(file.ioctl(Ioctl.LENLEFT)).toEqual([0, left]);
      const piece = file.read(7);
      expect(piece).toHaveLength(Math.min(7, left));
      left -= piece.length;
      pieces.push(piece);
    }
    expect(file.read()).toHaveLength(0);
    expect(file.ioctl(Ioctl.LENLEFT)).toEqual([0, 0]);
    expect(Message.fromBytes(Buffer.concat(pieces)).text()).toBe('seven b');
  });

  it('drops the rest of a message at NEXTMSG', async () => {
    const file = asker.open();
    await file.bind('$.A');
    file.send(new Announcement('$.A', 'one'));
    file.send(new Announcement('$.A', 'two'));
    file.ioctl(Ioctl.NEXTMSG);
    file.read(30);
    expect(file.next()?.text()).toBe('two');
    file.send(new Announcement('$.A', 'three'));
    file.ioctl(Ioctl.NEXTMSG);
    expect(file.ioctl(Ioctl.NEXTMSG)).toEqual([0, 0]);
    expect(file.read()).toHaveLength(0);
  });

  it('fetches the name and data of a pointy message at SEND, not before', async () => {
    const file = asker.open();
    await file.bind('$.A.B');
    asker.program.asked.length = 0;
    for (const piece of [pointy('$.A.B', 'Ahem', asker.program)]) {
      file.write(piece.subarray(0, 50));
      file.write(piece.subarray(50));
    }
    expect(asker.program.asked).toEqual([]);
    asker.program.memory.set(0x9000n, Buffer.from('Late'));
    const sent = asker.start(file.operation(Ioctl.SEND));
    expect(asker.program.asked).toEqual([0x8000n, 0x9000n]);
    expect(outcome(await asker.answerTo(sent))).toEqual([0, 0, 1]);
    expect(file.next()?.text()).toBe('Late');
    file.write(pointy('$.A.B', '', asker.program));
    await asker.answerTo(asker.start(file.operation(Ioctl.SEND)));
    expect(file.next()?.data).toHaveLength(0);
  });

  it('marks a Request for its Replier', async () => {
    const [asks, replies] = [asker.open(), asker.open()];
    await replies.bind('$.Ask', 1);
    await asks.bind('$.Ask');
    asks.send(new RequestMessage('$.Ask'));
    expect(asks.next()?.wantsUsToReply()).toBe(false);
    expect(replies.next()?.wantsUsToReply()).toBe(true);
    expect(replies.ioctl(Ioctl.UNREPLIEDTO)).toEqual([0, 1]);
    replies.close();
    expect(asks.next()?.name).toBe('$.KBUS.Replier.Ignored');
  });

  it('answers every ioctl with its number of bytes', async () => {
    const file = asker.open();
    expect(file.ioctl(Ioctl.RESET)).toEqual([0]);
    expect(file.ioctl(Ioctl.KSOCKID)).toEqual([0, 1]);
    expect(await file.bind('$.A', 5)).toEqual([0]);
    expect(await file.withName(Ioctl.REPLIER, 99, '$.A')).toEqual([1, 1]);
    expect(await file.withName(Ioctl.REPLIER, 99, '$.B')).toEqual([0, 0]);
    expect(await file.withName(Ioctl.UNBIND, 1, '$.A')).toEqual([0]);
    expect(file.ioctl(Ioctl.LASTSENT)).toEqual([0, 0, 0]);
    expect(file.ioctl(Ioctl.MAXMSGS, 7, 0)).toEqual([0, 7]);
    expect(file.ioctl(Ioctl.MAXMSGS, 0, 0)).toEqual([0, 7]);
    expect(file.ioctl(Ioctl.NUMMSGS)).toEqual([0, 0]);
    expect(file.ioctl(Ioctl.UNREPLIEDTO)).toEqual([0, 0]);
    for (const command of [Ioctl.MSGONLYONCE, Ioctl.VERBOSE, Ioctl.REPORTREPLIERBINDS]) {
      expect(file.ioctl(command, 1, 0)).toEqual([0, 0]);
      expect(file.ioctl(command, ASK, 0)).toEqual([0, 1]);
      expect(file.ioctl(command, 2, 0)).toEqual(['EINVAL']);
      expect(file.ioctl(command, 0, 0)).toEqual([0, 1]);
    }
    expect(file.ioctl(Ioctl.MAXMSGSIZE, 200, 0)).toEqual([0, 200]);
    expect(file.ioctl(Ioctl.MAXMSGSIZE, 99, 0)).toEqual(['EINVAL']);
    expect(file.ioctl(Ioctl.DISCARD)).toEqual([0]);
    expect(file.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
  });

  it.for([
    ['an ioctl of nobody', 0x80086b13, 0],
    ['an ioctl with an argument of another size', 0x80046b04, 0],
    ['an ioctl in another direction', 0x40086b04, 0],
    ['an ioctl of somebody else', 0x5401, 0],
    ['an ioctl of a 32-bit program', Ioctl.RESET, IOCTL_COMPAT],
  ] as const)('refuses %s with ENOTTY', ([, command, flags]) => {
    const operation = { ...asker.open().operation(command), flags } as Operation;
    expect(outcome(asker.ask(operation))).toEqual(['ENOTTY']);
  });

  it('refuses unreadable names and invalid names', async () => {
    const file = asker.open();
    for (const command of [Ioctl.BIND, Ioctl.UNBIND, Ioctl.REPLIER]) {
      expect(await file.withName(command, 0, null)).toEqual(['EFAULT']);
      expect(file.ioctl(command, 0, 1001)).toEqual(['ENAMETOOLONG']);
      expect(file.ioctl(command, 0, 0xffff_ffff)).toEqual(['ENAMETOOLONG']);
      // The memory of the struct itself is gone by now.
      const gone = asker.start(file.operation(command, [0, 5], 0xdead0000n));
      expect(outcome(await asker.answerTo(gone))).toEqual(['EFAULT']);
    }
    expect(file.ioctl(Ioctl.BIND, 0, 0)).toEqual(['EBADMSG']);
    expect(file.ioctl(Ioctl.REPLIER, 0, 0)).toEqual(['ENAMETOOLONG']);
    expect(await file.bind('$.caf\xe9')).toEqual(['EBADMSG']);
  });

  it('discards a pointy message with an unreadable or invalid name', async () => {
    const file = asker.open();
    for (const [spoil, code] of [
      [() => asker.program.memory.delete(0x8000n), 'EFAULT'],
      [() => asker.program.memory.delete(0x9000n), 'EFAULT'],
      [() => asker.program.memory.set(0x8000n, Buffer.from('$.A*B')), 'EBADMSG'],
    ] as const) {
      expect(file.write(pointy('$.A.B', 'Ahem', asker.program))).toBe(88);
      spoil();
      const sent = asker.start(file.operation(Ioctl.SEND));
      expect(outcome(await asker.answerTo(sent))).toEqual([code]);
      expect(file.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
    }
  });

  it('lets the program repeat a call that failed for want of a descriptor', async () => {
    const file = asker.open();
    asker.program.isOutOfReach = true;
    expect(await file.bind('$.A')).toEqual(['ENOMEM']);
    expect(file.write(pointy('$.A', 'Ahem', asker.program))).toBe(88);
    const send = () => asker.answerTo(asker.start(file.operation(Ioctl.SEND)));
    expect(outcome(await send())).toEqual(['ENOMEM']);
    asker.program.isOutOfReach = false;
    expect(await file.bind('$.A')).toEqual([0]);
    expect(outcome(await send())).toEqual([0, 0, 1]);
    expect(file.next()?.text()).toBe('Ahem');
  });

  it.for([
    ['a wrong guard', { 0: 1 }, 'EINVAL'],
    ['a wrong guard at the end of the header', { 80: 1 }, 'EINVAL'],
    ['a name of no length', { 52: 0 }, 'EINVAL'],
    ['a name that is too long', { 52: 1001 }, 'ENAMETOOLONG'],
    ['data without a pointer, where the name has one', { 64: 1, 56: 4 }, 'EINVAL'],
    ['a pointer to data, and none to the name', { 72: 1, 56: 4 }, 'EINVAL'],
    ['a pointer to no data', { 64: 1, 72: 1, 56: 0 }, 'EINVAL'],
    ['both ALL_ flags', { 48: Flag.ALL_OR_FAIL | Flag.ALL_OR_WAIT }, 'EINVAL'],
    ['more data than the bus takes', { 56: 1 << 24 }, 'EMSGSIZE'],
    ['almost 2^32 bytes of data', { 56: 0xffff_fffd }, 'EMSGSIZE'],
    ['too long a name before too much data', { 52: 1001, 56: 1 << 24 }, 'ENAMETOOLONG'],
  ] as const)('refuses a header with %s, as soon as it is complete: %s', ([, words, code]) => {
    const file = asker.open();
    const bytes = new Announcement('$.A.B', 'Ahem').toBytes().slice(0, 88);
    const view = new DataView(bytes.buffer);
    for (const [at, word] of Object.entries(words)) view.setUint32(Number(at), word, true);
    expect(file.write(bytes.subarray(0, 87))).toBe(87);
    expect(file.write(bytes.subarray(87))).toBe(code);
    expect(file.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
  });

  it('refuses errors behind the header as soon as they are written', () => {
    const file = asker.open();
    const good = new Announcement('$.A.B', 'Ahem').toBytes();
    const badName = good.slice();
    badName[90] = 0x2b;
    const badEnd = good.slice();
    badEnd[good.length - 1] = 0;
    for (const [bytes, code] of [
      [badName, 'EBADMSG'],
      [badEnd, 'EINVAL'],
      [Buffer.concat([good, Uint8Array.of(0)]), 'EMSGSIZE'],
    ] as const) {
      expect(file.write(bytes)).toBe(code);
      expect(file.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
    }
    file.write(good);
    expect(file.write(Uint8Array.of(0))).toBe('EMSGSIZE');
    file.write(good.subarray(0, 100));
    expect(file.ioctl(Ioctl.SEND)).toEqual(['EINVAL']);
    expect(file.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
  });

  it('lets a read-only descriptor do everything but write', async () => {
    const file = asker.open(O_RDONLY);
    const good = new Announcement('$.A').toBytes();
    expect(file.write(good)).toBe('EBADF');
    expect(file.poll(POLLIN | POLLOUT)).toBe(0);
    expect(await file.bind('$.A', 1)).toEqual([0]);
    expect(file.ioctl(Ioctl.DISCARD)).toEqual([0]);
    const other = asker.open(O_WRONLY);
    expect(other.send(new RequestMessage('$.A'))).toEqual([0, 0, 1]);
    expect(file.poll(POLLIN | POLLOUT)).toBe(POLLIN);
    expect(file.next()?.name).toBe('$.A');
  });

  it('closes its Ksock at the last close', async () => {
    const [file, other] = [asker.open(), asker.open()];
    await file.bind('$.A', 1);
    other.send(new RequestMessage('$.A'));
    file.close();
    expect(asker.program.forgotten).toContain(file.handle);
    expect(other.next()?.name).toBe('$.KBUS.Replier.GoneAway');
    const closed: Operation = { op: 'read', handle: file.handle, offset: 0, size: 1 };
    expect(asker.ask(closed)).toEqual({ kind: 'error', errno: Errno.EBADF });
  });

  it('refuses reads by this process while that reads a caller’s memory', async () => {
    const file = asker.open();
    await file.bind('$.A');
    file.send(new Announcement('$.A'));
    file.ioctl(Ioctl.NEXTMSG);
    asker.program.ours = 77;
    const read: Operation = { op: 'read', handle: file.handle, offset: 0, size: 4096 };
    expect(asker.ask(read, 1, 77)).toEqual({ kind: 'error', errno: 5 });
    expect(file.read()).toHaveLength(96);
  });
});

describe('ALL_OR_WAIT', () => {
  let sender: File;
  let listener: File;
  const message = new Announcement('$.News', 'waited', { flags: Flag.ALL_OR_WAIT });

  beforeEach(async () => {
    sender = asker.open();
    listener = asker.open();
    await listener.bind('$.News');
    listener.ioctl(Ioctl.MAXMSGS, 1, 0);
    sender.send(new Announcement('$.News', 'first'));
    // The id is told in spite of the error.
    expect(sender.send(message)).toEqual(['EAGAIN', 0, 2]);
  });

  it('is finished by SEND', () => {
    expect(sender.ioctl(Ioctl.SEND)).toEqual(['EAGAIN', 0, 2]);
    expect(listener.next()?.text()).toBe('first');
    expect(sender.ioctl(Ioctl.SEND)).toEqual([0, 0, 2]);
    expect(listener.next()?.text()).toBe('waited');
    expect(sender.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
  });

  it('is finished by poll for POLLOUT, and by no other poll', () => {
    expect(sender.poll(POLLIN | POLLOUT, true)).toBe(0);
    expect(asker.woken).toEqual([]);
    listener.next();
    expect(asker.woken).toEqual([BigInt(sender.handle) + 100n]);
    expect(listener.next()).toBeNull();
    // To ask whether it can be read is not to ask whether it can be written.
    expect(sender.poll(POLLIN)).toBe(0);
    expect(listener.next()).toBeNull();
    expect(sender.poll(POLLOUT)).toBe(POLLOUT);
    expect(listener.next()?.text()).toBe('waited');
    expect(sender.ioctl(Ioctl.SEND)).toEqual(['ENOMSG']);
  });

  it('keeps the waiting message when another one is written', () => {
    expect(sender.write(Uint8Array.of(1))).toBe('EALREADY');
    listener.next();
    expect(sender.ioctl(Ioctl.SEND)).toEqual([0, 0, 2]);
  });

  it('wakes another thread that waits to write at DISCARD', () => {
    sender.poll(POLLOUT, true);
    sender.ioctl(Ioctl.DISCARD);
    expect(asker.woken).toEqual([BigInt(sender.handle) + 100n]);
    expect(sender.poll(POLLOUT)).toBe(POLLOUT);
  });
});

describe('polling', () => {
  it('wakes a waiting thread once, until it polls again', async () => {
    const [reader, writer] = [asker.open(), asker.open()];
    await reader.bind('$.A');
    expect(reader.poll(POLLIN | POLLOUT, true)).toBe(POLLOUT);
    writer.send(new Announcement('$.A'));
    writer.send(new Announcement('$.A'));
    expect(asker.woken).toEqual([BigInt(reader.handle) + 100n]);
    expect(reader.poll(POLLIN, true)).toBe(POLLIN);
    writer.send(new Announcement('$.A'));
    expect(asker.woken).toHaveLength(2);
    writer.send(new Announcement('$.A'));
    expect(asker.woken).toHaveLength(2);
  });

  it('does not wake a thread that polled without waiting', async () => {
    const file = asker.open();
    await file.bind('$.A');
    file.poll(POLLIN);
    file.send(new Announcement('$.A'));
    expect(asker.woken).toEqual([]);
  });

  it('is woken by messages from sockets', async () => {
    const file = asker.open();
    await file.bind('$.A');
    file.poll(POLLIN, true);
    const owner: KsockOwner = { queued() {}, answered() {}, roomMade() {} };
    asker.bus.open(owner).send(new MessageBatch('$.A', 0, 0, new Uint8Array(0), 0, 0));
    // The turn is that of whoever brought it.
    asker.ask({ op: 'getattr' });
    expect(asker.woken).toHaveLength(1);
  });
});

describe('while a request waits for its caller’s memory', () => {
  let file: File;
  let bind: bigint;

  beforeEach(() => {
    file = asker.open();
    asker.program.hold();
    bind = file.startWithName(Ioctl.BIND, 0, '$.A');
  });

  it('later requests queue with copies of their bytes, and are handled in order', async () => {
    const { handle } = file;
    const bytes = new Announcement('$.A', 'Ahem').toBytes();
    const write = asker.start({ op: 'write', handle, offset: 0, data: bytes.slice() });
    const send = asker.start(file.operation(Ioctl.SEND));
    const limit = asker.start(file.operation(Ioctl.MAXMSGS, [5, 0]));
    expect(asker.answers.has(write)).toBe(false);
    await asker.program.let();
    await asker.answerTo(limit);
    expect(outcome(asker.answers.get(bind) as Answer)).toEqual([0]);
    expect(asker.answers.get(write)).toEqual({ kind: 'written', size: bytes.length });
    expect(outcome(asker.answers.get(send) as Answer)).toEqual([0, 0, 1]);
    expect(outcome(asker.answers.get(limit) as Answer)).toEqual([0, 5]);
    expect(file.next()?.text()).toBe('Ahem');
  });

  it('a read is answered at once: it may be for that memory', () => {
    const read: Operation = { op: 'read', handle: file.handle, offset: 0, size: 4096 };
    expect(asker.ask(read)).toEqual({ kind: 'data', data: new Uint8Array(0) });
    asker.program.ours = 77;
    expect(asker.ask(read, 1, 77)).toEqual({ kind: 'error', errno: 5 });
  });

  it('requests on other files are answered', () => {
    expect(asker.open().ioctl(Ioctl.KSOCKID)).toEqual([0, 2]);
  });

  it('a signal to its caller has no effect if the memory arrives in time', async () => {
    asker.start({ op: 'interrupt', target: bind });
    expect(asker.answers.has(bind)).toBe(false);
    await asker.program.let();
    expect(outcome(await asker.answerTo(bind))).toEqual([0]);
  });

  it('a signal ends it with EINTR after the timeout, and late memory is dropped', async () => {
    vi.useFakeTimers();
    const behind = asker.start(file.operation(Ioctl.KSOCKID));
    asker.start({ op: 'interrupt', target: bind });
    asker.start({ op: 'interrupt', target: 12345n });
    vi.runAllTimers();
    expect(asker.answers.get(bind)).toEqual({ kind: 'error', errno: 4 });
    expect(outcome(asker.answers.get(behind) as Answer)).toEqual([0, 1]);
    vi.useRealTimers();
    await asker.program.let();
    expect(asker.bus.ksocks.get(1)?.listening.size).toBe(0);
    expect(await file.bind('$.A')).toEqual([0]);
  });

  it('a signal ends a queued request, too', () => {
    vi.useFakeTimers();
    const behind = asker.start(file.operation(Ioctl.KSOCKID));
    asker.start({ op: 'interrupt', target: behind });
    vi.runAllTimers();
    expect(asker.answers.get(behind)).toEqual({ kind: 'error', errno: 4 });
    expect(asker.answers.has(bind)).toBe(false);
  });

  it('a pointy message whose SEND was interrupted can be sent again', async () => {
    const other = asker.open();
    other.write(pointy('$.B', 'Ahem', asker.program));
    vi.useFakeTimers();
    const send = asker.start(other.operation(Ioctl.SEND));
    asker.start({ op: 'interrupt', target: send });
    vi.runAllTimers();
    expect(asker.answers.get(send)).toEqual({ kind: 'error', errno: 4 });
    vi.useRealTimers();
    await asker.program.let();
    const again = asker.start(other.operation(Ioctl.SEND));
    expect(outcome(await asker.answerTo(again))).toEqual([0, 0, 1]);
  });

  it('the file can be closed', async () => {
    file.close();
    await asker.program.let();
    expect(asker.answers.has(bind)).toBe(false);
    expect(asker.bus.ksocks.size).toBe(0);
  });
});
