import type { Message } from '../message/message.ts';
import type { SeenMessage } from '../tap/events.ts';
import type { RecordedEvent } from './recording.ts';

/** The Requests of a recording may take so much memory, in bytes of their names and data and those of their answers. */
const MAX_BYTES = 512 * 1024 * 1024;

/** The answers to one Request, in the order in which they were given, and how many of them were given again. */
interface Answers {
  readonly all: SeenMessage[];
  given: number;
}

/** Answers Requests as a recording has it. */
export class Mock {
  /** The names of the Requests. */
  readonly names = new Set<string>();
  answered = 0;
  unknown = 0;
  private readonly path: string;
  private readonly rename: (name: string) => string;
  private readonly requests = new Map<string, string>();
  private readonly answers = new Map<string, Answers>();
  private bytes = 0;

  constructor(path: string, rename: (name: string) => string) {
    this.path = path;
    this.rename = rename;
  }

  /** Learns from an event; all of a recording, in their order. */
  learn({ event, source }: RecordedEvent): void {
    if (event.type !== 'messages') return;
    for (const message of event.messages) {
      if (message.isRequest()) this.learnRequest(`${source} ${message.id}`, message);
      else if (message.isReply()) this.learnAnswer(`${source} ${message.inReplyTo}`, message);
    }
  }

  private learnRequest(id: string, request: SeenMessage): void {
    if (request.wholeLength > request.dataLength) return;
    const name = this.rename(request.name);
    this.names.add(name);
    this.requests.set(id, keyOf(name, request.data));
    this.hold(request);
  }

  private learnAnswer(id: string, answer: SeenMessage): void {
    const key = this.requests.get(id);
    if (key === undefined) return;
    this.requests.delete(id);
    let answers = this.answers.get(key);
    if (answers === undefined) {
      answers = { all: [], given: 0 };
      this.answers.set(key, answers);
    }
    answers.all.push(answer);
    this.hold(answer);
  }

  private hold({ dataLength, name }: Message): void {
    this.bytes += 2 * (dataLength + name.length) + 256;
    if (this.bytes > MAX_BYTES) {
      throw new RangeError(
        `the Requests of ${this.path} and their answers take more than ${MAX_BYTES / 1024 / 1024} MiB; choose some of them by their names`,
      );
    }
  }

  /**
   * The data of the Reply. The same Request gets the answers of the recording one after the other, and then the last one
   * again. Throws an error, for the requester, if the recording has no Reply.
   */
  answer(request: Message): Uint8Array {
    const answers = this.answers.get(keyOf(request.name, request.data));
    const at = Math.min(answers?.given ?? 0, (answers?.all.length ?? 0) - 1);
    const answer = answers?.all[at];
    if (answers === undefined || answer === undefined) {
      this.unknown++;
      throw new Error(
        `${this.path} has no answer to a Request '${request.name}' with these ${request.dataLength} bytes of data`,
      );
    }
    answers.given++;
    if (answer.isStatus()) {
      throw new Error(`${this.path} has ${answer.name} as the answer to this Request`);
    }
    if (answer.wholeLength > answer.dataLength) {
      throw new Error(`${this.path} has only the beginning of the answer to this Request`);
    }
    this.answered++;
    return answer.data;
  }
}

/** Name and data as one string: a letter for each byte. */
function keyOf(name: string, data: Uint8Array): string {
  return `${name}\n${Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1')}`;
}
