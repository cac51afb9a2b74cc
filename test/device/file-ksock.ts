import { join } from 'node:path';
import type { WaitOptions } from '../../src/client/ksock.ts';
import { Ioctl } from '../../src/device/ioctl.ts';
import type { Mode } from '../../src/message/calls.ts';
import { type Call, Errno } from '../../src/message/errno.ts';
import { KbusError } from '../../src/message/error.ts';
import { MessageId } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';
import type { OriginalKsock } from '../conformance/transport.ts';
import { type Caller, SystemError } from './caller.ts';

const ASK = 0xffff_ffff;

/** A Ksock as a program has it that knows no library: an open file, read, write and ioctl. */
export class FileKsock implements OriginalKsock {
  readonly number: number;
  readonly mode: Mode;
  readonly id: number;
  private readonly caller: Caller;
  private readonly file: number;
  private isOpen = true;
  private left = 0;
  /** A message is written and sent before the next is written. */
  private lastSent: Promise<unknown> = Promise.resolve();

  private constructor(caller: Caller, file: number, bus: number, mode: Mode, id: number) {
    this.caller = caller;
    this.file = file;
    this.number = bus;
    this.mode = mode;
    this.id = id;
  }

  static async open(
    caller: Caller,
    directory: string,
    mode: Mode = 'rw',
    bus = 0,
  ): Promise<FileKsock> {
    const path = join(directory, `kbus${bus}`);
    const opening = caller.call<number>('open', path, mode);
    const file = await explained('open', `open ${path}`, opening);
    const [, id] = await caller.call<[number, string]>('ioctl', file, Ioctl.KSOCKID, '00000000');
    return new FileKsock(caller, file, bus, mode, wordsOf(id)[0] as number);
  }

  /** What an ioctl returns, and the words at its argument when it has returned. */
  private async ioctl(
    call: Call,
    command: number,
    ...argument: number[]
  ): Promise<[result: number, ...words: number[]]> {
    const asked = this.caller.call<[number, string]>(
      'ioctl',
      this.file,
      command,
      hexOf(new Uint8Array(new Uint32Array(argument).buffer)),
    );
    const [result, words] = await explained(call, `call ioctl ${command.toString(16)}`, asked);
    return [result, ...wordsOf(words)];
  }

  private async ioctlByName(
    call: Call,
    command: number,
    word: number,
    name: string,
  ): Promise<[number, ...number[]]> {
    // What is no byte must not become one that is good.
    const bytes = hexOf(Buffer.from(name.replace(/[^\0-\xff]/g, '?'), 'latin1'));
    const asked = this.caller.call<[number, string]>(
      'ioctlByName',
      this.file,
      command,
      word,
      bytes,
    );
    const [result, words] = await explained(call, `call ${call} of '${name}'`, asked);
    return [result, ...wordsOf(words)];
  }

  async bind(name: string, replier = false): Promise<void> {
    await this.ioctlByName('bind', Ioctl.BIND, Number(replier), name);
  }

  async unbind(name: string, replier = false): Promise<void> {
    await this.ioctlByName('unbind', Ioctl.UNBIND, Number(replier), name);
  }

  async findReplier(name: string): Promise<number | null> {
    const [found, id] = await this.ioctlByName('findReplier', Ioctl.REPLIER, 0, name);
    return found === 1 ? (id as number) : null;
  }

  async writeData(bytes: Uint8Array): Promise<void> {
    await this.write('write', `write ${bytes.length} bytes`, bytes);
  }

  async writeMsg(message: Message): Promise<void> {
    await this.write('write', `write '${message.name}'`, message.toBytes());
  }

  private async write(call: Call, what: string, bytes: Uint8Array): Promise<void> {
    await explained(call, what, this.caller.call('write', this.file, hexOf(bytes)));
  }

  sendMsg(message: Message): Promise<MessageId> {
    const what = `send '${message.name}'`;
    const sending = this.lastSent.then(async () => {
      await this.write('send', what, message.toBytes());
      return this.sendWritten(what);
    });
    this.lastSent = sending.catch(() => {});
    return sending;
  }

  send(): Promise<MessageId> {
    return this.sendWritten('send what was written');
  }

  private async sendWritten(what: string): Promise<MessageId> {
    const asked = this.caller.call<[number, string]>(
      'ioctl',
      this.file,
      Ioctl.SEND,
      hexOf(new Uint8Array(8)),
    );
    const [, words] = await explained('send', what, asked);
    const [network, serial] = wordsOf(words);
    return new MessageId(network as number, serial as number);
  }

  async discard(): Promise<void> {
    await this.ioctl('send', Ioctl.DISCARD, 0);
  }

  waitWritable(options: WaitOptions = {}): Promise<boolean> {
    return this.wait('w', options);
  }

  private wait(what: 'r' | 'w', { timeout }: WaitOptions): Promise<boolean> {
    // The kernel takes a file that can't be written for one that can always be.
    const seconds = timeout === undefined ? null : timeout / 1000;
    return this.caller.call('wait', this.file, what, seconds);
  }

  async waitForMsg(options: WaitOptions = {}): Promise<Message | null> {
    return (await this.wait('r', options)) ? this.readNextMsg() : null;
  }

  async nextMsg(): Promise<number> {
    const [there, length] = await this.ioctl('read', Ioctl.NEXTMSG, 0);
    this.left = length as number;
    if (there !== Number(this.left > 0)) throw new Error(`NEXTMSG: ${there} for ${length} bytes`);
    return this.left;
  }

  lenLeft(): number {
    return this.left;
  }

  async readData(count: number): Promise<Uint8Array> {
    const reading = this.caller.call<string>('read', this.file, count);
    const bytes = Buffer.from(await explained('read', `read ${count} bytes`, reading), 'hex');
    [, this.left] = (await this.ioctl('read', Ioctl.LENLEFT, 0)) as [number, number];
    return bytes;
  }

  async readMsg(length: number): Promise<Message | null> {
    const bytes = await this.readData(length);
    return bytes.length === 0 ? null : Message.fromBytes(bytes);
  }

  async readNextMsg(): Promise<Message | null> {
    const length = await this.nextMsg();
    return length === 0 ? null : this.readMsg(length);
  }

  numMessages(): Promise<number> {
    return this.word('read', Ioctl.NUMMSGS);
  }

  numUnrepliedTo(): Promise<number> {
    return this.word('read', Ioctl.UNREPLIEDTO);
  }

  async lastMsgId(): Promise<MessageId> {
    const [, network, serial] = await this.ioctl('send', Ioctl.LASTSENT, 0, 0);
    return new MessageId(network as number, serial as number);
  }

  maxMessages(): Promise<number> {
    return this.word('maxMessages', Ioctl.MAXMSGS, 0);
  }

  setMaxMessages(limit: number): Promise<number> {
    return this.word('maxMessages', Ioctl.MAXMSGS, limit);
  }

  maxMessageSize(): Promise<number> {
    return this.word('maxMessageSize', Ioctl.MAXMSGSIZE, 0);
  }

  setMaxMessageSize(size: number): Promise<number> {
    return this.word('maxMessageSize', Ioctl.MAXMSGSIZE, size);
  }

  wantMessagesOnce(justOnce?: boolean): Promise<boolean> {
    return this.switch('wantMessagesOnce', Ioctl.MSGONLYONCE, justOnce);
  }

  reportReplierBinds(report?: boolean): Promise<boolean> {
    return this.switch('reportReplierBinds', Ioctl.REPORTREPLIERBINDS, report);
  }

  verbose(verbose?: boolean): Promise<boolean> {
    return this.switch('verbose', Ioctl.VERBOSE, verbose);
  }

  private async switch(call: Call, command: number, on: boolean | undefined): Promise<boolean> {
    return (await this.word(call, command, on === undefined ? ASK : Number(on))) === 1;
  }

  private async word(call: Call, command: number, argument = 0): Promise<number> {
    const [, word] = await this.ioctl(call, command, argument);
    return word as number;
  }

  newDevice(): Promise<number> {
    return this.word('newDevice', Ioctl.NEWDEVICE);
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    await this.caller.call('close', this.file);
  }
}

/** As the library says it, so that the suite can look at what it says. */
async function explained<T>(call: Call, what: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const isUnknown = error.errno === Errno.ENOTTY;
    throw new KbusError(isUnknown ? 'ioctl' : call, error.errno, what);
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function wordsOf(hex: string): number[] {
  const bytes = Buffer.from(hex, 'hex');
  return [
    ...new Uint32Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~3)),
    ),
  ];
}
