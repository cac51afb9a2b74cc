import type { Ksock } from '../client/ksock.ts';
import { KbusError } from '../message/error.ts';
import { Flag } from '../message/flags.ts';
import { Announcement, type Message, Request } from '../message/message.ts';
import { ReplierError, StatusError } from '../message/request-error.ts';
import type { SeenMessage } from '../tap/events.ts';
import type { RecordedEvent } from './recording.ts';

/** What a program got for a Request, in the recording or now: a Reply, a Status, or (now) an error. */
export interface Answer {
  /** The name of the Reply or Status; the code of an error. */
  readonly name: string;
  readonly data: Uint8Array;
  /** Of the recorded data, only the beginning is known. */
  readonly wholeLength: number;
}

/** An answer that is not as it was. */
export interface Difference {
  readonly request: SeenMessage;
  readonly then: Answer;
  readonly now: Answer;
}

/** What became of the messages of a recording. */
export interface Replayed {
  announced: number;
  asked: number;
  same: number;
  different: number;
  /** Requests whose answer the recording does not have. */
  unknown: number;
  /** Messages of which the recording has the beginning only: they were not sent. */
  cut: number;
  /** Announcements and Requests that the bus refused now. */
  refused: number;
}

export interface ReplayOptions {
  /** Whether Requests are asked, and their answers compared; otherwise, only Announcements are sent. */
  readonly drives: boolean;
  /** Twice as fast: 2. As fast as it goes: Infinity. */
  readonly speed: number;
  /** The name to send in place of the recorded one. */
  readonly rename: (name: string) => string;
  /** How long to wait for an answer, in milliseconds. */
  readonly timeout: number;
  /** Resolves when this time, in microseconds since the first message, has come. */
  readonly until: (microseconds: number) => Promise<void>;
  /** Called before each message is sent. */
  readonly next: (message: Message) => Promise<void> | undefined;
  readonly onDifference: (difference: Difference) => void;
  readonly onRefused: (message: Message, error: KbusError) => void;
}

/** A Request that was asked again. */
interface Asked {
  readonly request: SeenMessage;
  readonly now: Promise<Answer>;
}

const NO_DATA = new Uint8Array(0);

/**
 * Sends the messages of a recording again, in their order. What was sent after an answer is sent after that answer now, so
 * that a fast replay does not ask before it may. Messages of KBUS, Replies, and what the bus refused are not sent.
 */
export class Replay {
  readonly replayed: Replayed = {
    announced: 0,
    asked: 0,
    same: 0,
    different: 0,
    unknown: 0,
    cut: 0,
    refused: 0,
  };
  private readonly ksock: Ksock;
  private readonly options: ReplayOptions;
  private readonly open = new Map<string, Asked>();
  private first = -1;

  constructor(ksock: Ksock, options: ReplayOptions) {
    this.ksock = ksock;
    this.options = options;
  }

  /** Replays an event; those of a recording in their order. */
  async event({ event, source }: RecordedEvent): Promise<void> {
    if (event.type !== 'messages') return;
    for (const message of event.messages) {
      if (message.isReply()) {
        await this.answered(`${source} ${message.inReplyTo}`, message);
      } else if (message.from !== 0 && (this.options.drives || !message.isRequest())) {
        await this.send(`${source} ${message.id}`, message, event.time);
      }
    }
  }

  private async send(key: string, message: SeenMessage, time: number): Promise<void> {
    const { options, replayed } = this;
    if (message.wholeLength > message.dataLength) {
      replayed.cut++;
      return;
    }
    if (this.first < 0) this.first = time;
    if (Number.isFinite(options.speed)) {
      await options.until((time - this.first) / options.speed);
    }
    const flags = (message.flags & ~UNSENT_FLAGS) >>> 0;
    const name = options.rename(message.name);
    if (message.isRequest()) {
      const request = new Request(name, message.data, { flags });
      await options.next(request);
      replayed.asked++;
      this.open.set(key, { request: message, now: this.ask(request) });
      return;
    }
    const again = new Announcement(name, message.data, { flags });
    await options.next(again);
    try {
      await this.ksock.sendMsg(again, { wait: true });
      replayed.announced++;
    } catch (error) {
      if (!(error instanceof KbusError) || error.code === 'ECONNRESET') throw error;
      replayed.refused++;
      options.onRefused(again, error);
    }
  }

  private async ask(request: Request): Promise<Answer> {
    try {
      const { timeout } = this.options;
      return answerOf(await this.ksock.request(request, null, { timeout }));
    } catch (error) {
      if (error instanceof StatusError) return answerOf(error.status);
      if (error instanceof ReplierError) return answerOf(error.reply);
      if (error instanceof KbusError) return { name: error.code, data: NO_DATA, wholeLength: 0 };
      throw error;
    }
  }

  /** The recording has the answer to a Request. */
  private async answered(key: string, reply: SeenMessage): Promise<void> {
    const asked = this.open.get(key);
    if (asked === undefined) return;
    this.open.delete(key);
    const then = { ...answerOf(reply), wholeLength: reply.wholeLength };
    const now = await asked.now;
    if (isSame(then, now, this.options.rename)) {
      this.replayed.same++;
      return;
    }
    this.replayed.different++;
    this.options.onDifference({ request: asked.request, then, now });
  }

  /** Waits for the answers that the recording does not have. */
  async finish(): Promise<void> {
    for (const { now } of this.open.values()) {
      await now;
      this.replayed.unknown++;
    }
    this.open.clear();
    this.first = -1;
  }
}

/** A replay neither waits as the recorded program did, nor fails when somebody does not listen. */
const UNSENT_FLAGS = Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL | Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

function answerOf({ data, name }: Message): Answer {
  return { name, data, wholeLength: data.length };
}

function isSame(then: Answer, now: Answer, rename: (name: string) => string): boolean {
  if (now.name !== then.name && now.name !== rename(then.name)) return false;
  if (now.data.length !== then.wholeLength) return false;
  return then.data.every((byte, at) => now.data[at] === byte);
}
