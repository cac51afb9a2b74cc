import { Bus } from '../../../src/bus/bus.ts';
import type { BusKsock } from '../../../src/bus/ksock.ts';
import { batchOfMessage } from '../../../src/bus/message-batch.ts';
import { messageOf } from '../../../src/client/ports/local-messages.ts';
import { RecordWords, SAME, writeRecord } from '../../../src/message/codec/records.ts';
import { Announcement, type Message, Request, replyTo } from '../../../src/message/message.ts';
import { isAnnouncement, RecordBatch } from '../../../src/message/record-batch.ts';

const NO_OWNER = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** Sends a message on an engine's Ksock; 0, or the error number with its sign changed. */
export function send(ksock: BusKsock, message: Message, token = -1): number {
  const batch = batchOfMessage(message, new Uint8Array(message.data));
  if (token >= 0) {
    batch.token = token;
    batch.answersByToken = true;
  }
  return ksock.send(batch);
}

export function read(ksock: BusKsock): Message | null {
  const batch = ksock.take();
  return batch === null ? null : messageOf(batch, ksock.tookRequest);
}

const NO_WORDS = new RecordWords();

/**
 * The message as a batch, or as one more of the batch; null if it can't be. A message with the name of the one before it becomes
 * a record that is SAME.
 */
export function batched(message: Message, before: RecordBatch | null): RecordBatch | null {
  const { data, flags, from, head, id, name } = message;
  if (name.startsWith('$.KBUS.') || !head.isPlain || message.isRequest()) return null;
  const bytes = new Uint8Array(5000);
  let at = 4;
  let count = 1;
  let { serialNum: serial } = id;
  if (before !== null) {
    if (before.sender !== from || before.serial + before.count !== serial) return null;
    bytes.set(before.bytes);
    at = before.end;
    count += before.count;
    serial = before.serial;
  }
  let last = '';
  if (before !== null) for (const { name: each } of before.messages()) last = each;
  const start = before?.at ?? at;
  let dataAt = at + 4;
  if (name === last) new DataView(bytes.buffer).setUint32(at, SAME + data.length);
  else dataAt = writeRecord(bytes, at, name, flags, 0, NO_WORDS, data.length);
  bytes.set(data, dataAt);
  const end = dataAt + ((data.length + 3) & ~3);
  if (before === null && !isAnnouncement(bytes, start + 4, end)) return null;
  return new RecordBatch(bytes, start, start + 4, end, count, 0, serial, from, false);
}

/** A Request of a goldfish, and the answers that it got. */
export interface Asked {
  readonly by: string;
  readonly name: string;
  readonly serial: number;
  readonly answers: string[];
}

/** A program on a bus: it sends numbered messages, listens to all, and replies. */
export class Goldfish {
  readonly name: string;
  readonly bowl: Bowl;
  readonly ksock: BusKsock;
  sent = 0;
  /** What it has heard: `sender:number`. */
  readonly heard = new Set<string>();
  private readonly lastOf = new Map<string, number>();
  readonly asked = new Map<number, Asked>();
  readonly replying = new Set<string>();
  private readonly unanswered: Message[] = [];
  /** Messages that it was told it missed. */
  missed = 0;

  constructor(name: string, bowl: Bowl) {
    this.name = name;
    this.bowl = bowl;
    this.ksock = bowl.bus.open(NO_OWNER, { maxMessages: 1_000_000 });
    this.ksock.bind('$.*', false);
    this.ksock.wantMessagesOnce(1);
  }

  announce(name: string): string {
    const tag = `${this.name}:${++this.sent}`;
    const result = send(this.ksock, new Announcement(name, tag));
    if (result !== 0) throw new Error(`an Announcement was refused: ${result}`);
    return tag;
  }

  /** Undefined if nobody replies to the name. */
  ask(name: string): Asked | undefined {
    const tag = `${this.name}:${++this.sent}`;
    if (send(this.ksock, new Request(name, tag)) !== 0) return undefined;
    const serial = this.ksock.lastSerial;
    const asked: Asked = { by: tag, name, serial, answers: [] };
    this.asked.set(serial, asked);
    return asked;
  }

  bind(name: string): void {
    if (this.ksock.bind(name, true) === 0) this.replying.add(name);
  }

  unbind(name: string): void {
    if (this.replying.delete(name)) this.ksock.unbind(name, true);
  }

  /** Reads all; checks order and duplicates. */
  readAll(): void {
    for (;;) {
      const message = read(this.ksock);
      if (message === null) return;
      this.take(message);
    }
  }

  private take(message: Message): void {
    if (message.isReply()) {
      const asked = this.asked.get(message.inReplyTo.serialNum);
      // A listener's copy of another goldfish's Reply.
      if (asked === undefined || message.to !== this.ksock.id) return;
      asked.answers.push(message.name);
      const isReply = !message.name.startsWith('$.KBUS.');
      if (isReply && message.text() !== asked.by) {
        throw new Error(`the answer to ${message.text()} came for ${asked.by}`);
      }
      if (asked.answers.length > 1) throw new Error(`two answers: ${JSON.stringify(asked)}`);
      return;
    }
    if (message.wantsUsToReply()) this.unanswered.push(message);
    if (message.name === '$.KBUS.Limpet.Missed') {
      this.missed += Number(message.text());
      return;
    }
    if (message.name.startsWith('$.KBUS.')) return;
    const tag = message.text();
    if (this.heard.has(tag))
      throw new Error(`${this.name} in ${this.bowl.name} heard ${tag} twice`);
    this.heard.add(tag);
    const [sender = '', number = ''] = tag.split(':');
    const last = this.lastOf.get(sender) ?? 0;
    if (Number(number) <= last) {
      throw new Error(`${this.name} in ${this.bowl.name} heard ${tag} after ${sender}:${last}`);
    }
    this.lastOf.set(sender, Number(number));
  }

  answerOne(): boolean {
    const request = this.unanswered.shift();
    if (request === undefined) return false;
    send(this.ksock, replyTo(request, request.text()));
    return true;
  }

  answerAll(): void {
    while (this.answerOne());
  }

  /** Nobody in its bowl waits for it any more. */
  leave(): void {
    this.ksock.close();
  }
}

/** A bus with its goldfish. */
export class Bowl {
  readonly name: string;
  readonly number: number;
  bus = new Bus();
  fish: Goldfish[] = [];
  /** The bus has no memory left for what Limpets bring. */
  isShort = false;
  refusesLate = false;
  refusedCopies = 0;
  /** How often the bus has started. */
  life = 0;
  private born = 0;

  constructor(number: number) {
    this.number = number;
    this.name = `bowl ${number}`;
  }

  add(): Goldfish {
    const fish = new Goldfish(`${this.number}.${this.life}.${this.born++}`, this);
    this.fish.push(fish);
    return fish;
  }

  /** A Status always has room. */
  refuses(message: Message): boolean {
    return this.isShort && !(message.isReply() && message.dataLength === 0);
  }

  restart(): void {
    this.life++;
    this.bus = new Bus();
    this.fish = [];
  }
}
