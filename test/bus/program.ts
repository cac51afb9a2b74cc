import { UNKNOWN } from '../../src/bus/identity.ts';
import {
  Bus,
  type BusKsock,
  type BusSettings,
  MessageBatch,
  type Mode,
  type OpenOptions,
} from '../../src/bus/index.ts';
import { codeOf, type ErrorCode } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';

/** `limit`: how many messages its queue may hold. */
interface ProgramOptions extends OpenOptions {
  mode?: Mode;
  limit?: number;
}

/** A message for comparison: only the fields that are set. */
export interface Seen {
  name: string;
  id: string;
  flags: number;
  from: number;
  to: number;
  inReplyTo: string;
  data: string;
}

export interface Sending {
  flags?: number;
  to?: number;
  data?: string;
  /** Keeps this id, as Limpets' messages do. */
  id?: readonly [network: number, serial: number];
  inReplyTo?: readonly [network: number, serial: number];
  token?: number;
}

/** A program with one Ksock that records its events. */
export class Program {
  readonly ksock: BusKsock;
  readonly told: string[] = [];
  /** What it does when the bus wakes its waiting send. */
  onRoom: () => void = () => {};

  constructor(bus: Bus, { mode = 'rw', limit = 0, ...more }: ProgramOptions = {}) {
    this.ksock = bus.open(
      {
        queued: (atFront) => this.told.push(atFront ? 'front' : 'back'),
        answered: (token, batch) => this.told.push(`${token}: ${batch.name}`),
        roomMade: () => {
          this.told.push('room');
          this.onRoom();
        },
        kicked: (why) => this.told.push(`kicked: ${why}`),
      },
      { mode, who: { ...UNKNOWN, pid: 1000 }, ...more },
    );
    this.ksock.maxMessages(limit);
  }

  get id(): number {
    return this.ksock.id;
  }

  /** How often the bus has woken its waiting send. */
  get rooms(): number {
    return this.told.filter((what) => what === 'room').length;
  }

  listen(...names: string[]): this {
    for (const name of names) this.check(this.ksock.bind(name, false));
    return this;
  }

  answer(...names: string[]): this {
    for (const name of names) this.check(this.ksock.bind(name, true));
    return this;
  }

  announce(name: string, sending: Sending = {}): Outcome {
    return this.send(name, sending);
  }

  request(name: string, sending: Sending = {}): Outcome {
    return this.send(name, { ...sending, flags: (sending.flags ?? 0) | Flag.WANT_A_REPLY });
  }

  reply(to: Pick<Seen, 'name' | 'id' | 'from'>, sending: Sending = {}): Outcome {
    const [network, serial] = to.id.split(':').map(Number) as [number, number];
    return this.send(to.name, { to: to.from, inReplyTo: [network, serial], ...sending });
  }

  private send(name: string, sending: Sending): Outcome {
    const { flags = 0, to = 0, data = '', id = [0, 0], inReplyTo = [0, 0], token = -1 } = sending;
    const bytes = Buffer.from(data);
    const batch = new MessageBatch(name, flags >>> 0, to, bytes, 0, bytes.length);
    [batch.idNetwork, batch.idSerial] = id;
    [batch.replyNetwork, batch.replySerial] = inReplyTo;
    batch.answersByToken = token >= 0;
    batch.token = token;
    return outcome(this.ksock.send(batch));
  }

  read(): Seen | undefined {
    const batch = this.ksock.take();
    if (batch === null) return undefined;
    return {
      name: batch.name,
      id: `${batch.idNetwork}:${batch.idSerial}`,
      flags: (batch.flags | (this.ksock.tookRequest ? Flag.WANT_YOU_TO_REPLY : 0)) >>> 0,
      from: batch.from,
      to: batch.to,
      inReplyTo: `${batch.replyNetwork}:${batch.replySerial}`,
      data: Buffer.from(
        batch.bytes.subarray(batch.dataAt, batch.dataAt + batch.dataLength),
      ).toString(),
    };
  }

  /** Reads a message that must be available. */
  next(): Seen {
    const message = this.read();
    if (message === undefined) throw new Error(`nothing to read for Ksock ${this.id}`);
    return message;
  }

  /** Reads all messages. */
  rest(): Seen[] {
    const all: Seen[] = [];
    for (let message = this.read(); message !== undefined; message = this.read()) all.push(message);
    return all;
  }

  names(): string[] {
    return this.rest().map(({ name }) => name);
  }

  close(): void {
    this.ksock.close();
  }

  private check(result: number): void {
    if (result < 0) throw new Error(`${outcome(result)} for Ksock ${this.id}`);
  }
}

export type Outcome = ErrorCode | 'ok';

/** A result by its name: `ok`, or the code of an error. */
export function outcome(result: number): Outcome {
  return result < 0 ? (codeOf(-result) ?? 'EPROTO') : 'ok';
}

/** A bus, and an endless supply of programs on it. */
export function stage(settings: Partial<BusSettings> = {}): {
  bus: Bus;
  program: (options?: ProgramOptions) => Program;
} {
  const bus = new Bus(settings);
  return { bus, program: (options) => new Program(bus, options) };
}
