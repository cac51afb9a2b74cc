import type {
  JetStreamApiError,
  JetStreamClient,
  JetStreamManager,
  StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { EngineError, type EngineStream, type StreamState, type StreamWants } from './engine.ts';

type Library = typeof import('@nats-io/jetstream');

/**
 * Milliseconds until a message counts as not stored; it is stored again then. While a cluster elects a leader, nobody answers, so
 * it is not much longer than a server with a slow disk takes.
 */
const STORE_TIMEOUT_MS = 2000;

/** How many messages the server sends ahead of the one that is read. */
const AHEAD = 200;

/** A reader that hears nothing of the server for about twice as long asks again, in milliseconds. */
const HEARTBEAT_MS = 2000;
const PULL_MS = 5000;

/** For so long the server remembers the id of a message, in nanoseconds. */
const DUPLICATES_NS = 120e9;

const STREAM_NOT_FOUND = 10059;

export async function jetStreamLibrary(): Promise<Library> {
  try {
    return await import('@nats-io/jetstream');
  } catch (cause) {
    throw new EngineError(
      'mode stream of a link over NATS needs the JetStream client, which is not installed: npm install @nats-io/jetstream',
      { cause },
    );
  }
}

/** A stream of JetStream, over one connection to NATS. */
export class JetStream implements EngineStream {
  private readonly library: Library;
  private readonly client: JetStreamClient;
  private readonly wants: StreamWants;

  constructor(library: Library, connection: NatsConnection, wants: StreamWants) {
    this.library = library;
    this.client = library.jetstream(connection, { timeout: STORE_TIMEOUT_MS });
    this.wants = wants;
  }

  async open(): Promise<StreamState> {
    const manager = await this.client.jetstreamManager(false);
    const info = await this.info(manager).catch((cause: unknown) => {
      throw new EngineError(`can't open the stream ${this.wants.name}: ${reasonOf(cause)}`, {
        cause,
      });
    });
    const { first_seq: first, last_seq: last } = info.state;
    const differs = this.differences(info);
    return { created: info.created, first: Math.max(first, 1), last, differs };
  }

  private async info(manager: JetStreamManager): Promise<StreamInfo> {
    const { name } = this.wants;
    try {
      return await manager.streams.info(name);
    } catch (error) {
      if ((error as JetStreamApiError).code !== STREAM_NOT_FOUND) throw error;
    }
    const { subject, maxBytes, maxAge, discard = 'old', replicas = 1 } = this.wants;
    // Another Limpet may make it at the same time, with the same settings.
    return manager.streams.add({
      name,
      subjects: [subject],
      max_bytes: maxBytes ?? -1,
      max_age: (maxAge ?? 0) * 1e9,
      discard: discard === 'new' ? this.library.DiscardPolicy.New : this.library.DiscardPolicy.Old,
      num_replicas: replicas,
      duplicate_window: Math.min(DUPLICATES_NS, maxAge === undefined ? Infinity : maxAge * 1e9),
    });
  }

  /** Where a stream that was there already is another one than was asked for, in words. */
  private differences({ config }: StreamInfo): string {
    const { name, subject, maxBytes, maxAge, discard, replicas } = this.wants;
    if (!config.subjects?.includes(subject)) {
      throw new EngineError(
        `the stream ${name} does not take ${subject}: it takes ${config.subjects?.join(', ') ?? 'nothing'}`,
      );
    }
    const settings = [
      ['max_bytes', maxBytes, config.max_bytes],
      ['max_age in seconds', maxAge, config.max_age / 1e9],
      ['discard', discard, config.discard],
      ['num_replicas', replicas, config.num_replicas],
    ];
    return settings
      .filter(([, wanted, is]) => wanted !== undefined && wanted !== is)
      .map(([what, wanted, is]) => `${what} is ${is}, not ${wanted}`)
      .join('; ');
  }

  async store(subject: string, bytes: Uint8Array, id: string): Promise<number> {
    try {
      const { seq } = await this.client.publish(subject, bytes, {
        msgID: id,
        timeout: STORE_TIMEOUT_MS,
        expect: { streamName: this.wants.name },
      });
      return seq;
    } catch (cause) {
      throw new EngineError(reasonOf(cause), { cause });
    }
  }

  read(
    from: number,
    take: Parameters<EngineStream['read']>[1],
    ended: (why: string) => void,
  ): () => void {
    let isStopped = false;
    let stop = (): void => {};
    const run = async (): Promise<void> => {
      const consumer = await this.client.consumers.get(this.wants.name, {
        deliver_policy: this.library.DeliverPolicy.StartSequence,
        opt_start_seq: from,
        inactive_threshold: PULL_MS * 2,
      });
      const messages = await consumer.consume({
        max_messages: AHEAD,
        expires: PULL_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
      });
      stop = () => {
        messages.stop();
        consumer.delete().catch(() => {});
      };
      if (isStopped) stop();
      for await (const { seq, subject, data } of messages) {
        if (isStopped) return;
        await take({ seq, subject, bytes: data });
      }
    };
    run().then(
      () => isStopped || ended('the stream was closed'),
      (error: unknown) => isStopped || ended(reasonOf(error)),
    );
    return () => {
      isStopped = true;
      stop();
    };
  }
}

/** Why the server did not do it. While its cluster elects a leader, it answers as if it had no JetStream, or not at all. */
function reasonOf(error: unknown): string {
  const { message } = error as Error;
  if (/503|no responders|not enabled/i.test(message)) {
    return 'the server offers no JetStream (start it with -js), or its cluster elects a leader';
  }
  if (/timeout/i.test(message)) {
    return 'the server did not answer in time: it has too much to do, or its cluster elects a leader';
  }
  return message.toLowerCase();
}
