/**
 * A messaging engine of a network, such as NATS, as a federation uses it. It may lose messages at any time; those that come
 * from one publisher on one subject come in the order in which they were published.
 *
 * @see {@link ConnectEngine} for an example
 */
export interface Engine {
  /** The longest message that it carries, in bytes. */
  readonly maxPayload: number;
  /** While the engine is out of reach, nothing is published. The bytes must not change any more. */
  publish(subject: string, bytes: Uint8Array): void;
  /** Closes the connection, after what was published has left. */
  close(): Promise<void>;
  /** What keeps the Announcements of a federation of mode `stream`; undefined if the engine has no such thing. */
  readonly stream?: EngineStream | undefined;
}

/**
 * What is known of a stream when it is opened.
 *
 * @see {@link EngineStream} for an example
 */
export interface StreamState {
  /** Differs when the stream was removed and made again. */
  readonly created: string;
  /** The numbers of the first and of the last message that it holds; the first is one more than the last if it is empty. */
  readonly first: number;
  readonly last: number;
  /** Where a stream that was there already has other limits than were asked for, in words; '' if it has those. */
  readonly differs: string;
}

/**
 * A message that a stream holds.
 *
 * @see {@link EngineStream} for an example
 */
export interface StoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly bytes: Uint8Array;
}

/**
 * A stream that keeps messages, and gives all readers the same order: message 1, 2, 3…
 *
 * @example
 * ```ts
 * import type { EngineStream, StoredMessage, StreamState, StreamWants } from 'kbus/limpet';
 *
 * // A stream for the Limpets of one process.
 * const wants: StreamWants = { name: 'KBUS_house', subject: 'kbus.house.stream.*' };
 * const kept: StoredMessage[] = [];
 * const readers = new Set<() => void>();
 * const state = (): StreamState => ({ created: '1', first: 1, last: kept.length, differs: '' });
 * export const stream: EngineStream = {
 *   open: async () => state(),
 *   async store(subject, bytes) {
 *     const seq = kept.push({ seq: kept.length + 1, subject, bytes });
 *     for (const wake of readers) wake();
 *     return seq;
 *   },
 *   read(from, take) {
 *     let next = from;
 *     const wake = () => {
 *       for (const message of kept.slice(next - 1)) {
 *         next++;
 *         void take(message);
 *       }
 *     };
 *     readers.add(wake);
 *     wake();
 *     return () => readers.delete(wake);
 *   },
 * };
 * const stop = stream.read(1, ({ seq }) => console.log(wants.name, seq), console.error);
 * await stream.store('kbus.house.stream.1', new Uint8Array(3), 'one');
 * stop();
 * // → KBUS_house 1
 * ```
 */
export interface EngineStream {
  /** Makes the stream, unless it is there. Rejects with what stands in the way. */
  open(): Promise<StreamState>;
  /**
   * Keeps a message; resolves with its number when the stream has it. A message whose id it has had lately is not kept again.
   * After a rejection, it may be there or not.
   */
  store(subject: string, bytes: Uint8Array, id: string): Promise<number>;
  /**
   * Reads the messages from this number on, in their order; waits for each `take` before it gives the next one. Gives what
   * stops it. `ended` is called if it ends by itself.
   */
  read(
    from: number,
    take: (message: StoredMessage) => void | Promise<void>,
    ended: (why: string) => void,
  ): () => void;
}

/**
 * The stream that a federation needs, and its limits where it is made anew.
 *
 * @see {@link EngineStream} for an example
 */
export interface StreamWants {
  readonly name: string;
  readonly subject: string;
  /** Bytes that it holds at most; undefined: as the server allows. */
  readonly maxBytes?: number | undefined;
  /** Seconds for which it holds a message; undefined: for ever. */
  readonly maxAge?: number | undefined;
  /** What goes at the limit: the oldest messages, or none, so that it takes no new one. Default: `old`. */
  readonly discard?: 'old' | 'new' | undefined;
  /** How many servers of a cluster keep it. Default: 1. */
  readonly replicas?: number | undefined;
}

/**
 * What a federation needs of an engine.
 *
 * @see {@link ConnectEngine} for an example
 */
export interface EngineWants {
  /** The subjects to hear. */
  readonly subjects: readonly string[];
  /** What the connection is called, and where answers to its own requests come: `kbus.plant.answer.7`. */
  readonly answers: string;
  /** In mode `stream`. */
  readonly stream?: StreamWants | undefined;
}

/**
 * What an engine tells the federation.
 *
 * @see {@link ConnectEngine} for an example
 */
export interface EngineEvents {
  /** The engine is in reach, for the first time or again. */
  up(engine: Engine): void;
  /** It is out of reach. What was published last may be lost. */
  lost(why: string): void;
  /** A message has come on a subject that is subscribed. */
  received(subject: string, bytes: Uint8Array): void;
  /** It does not allow a subject to this program. */
  forbidden(why: string): void;
}

/**
 * Connects to an engine, again and again until `signal` is aborted, and subscribes to the subjects. Resolves when it is in
 * reach. Rejects if it never will be, as it is configured.
 *
 * @example
 * ```ts
 * import {
 *   type ConnectEngine,
 *   type Engine,
 *   type EngineEvents,
 *   type EngineWants,
 *   Limpet,
 * } from 'kbus/limpet';
 *
 * // An engine for the Limpets of one process.
 * const subscribers = new Map<string, Set<EngineEvents>>();
 * const engine: Engine = {
 *   maxPayload: 1024 * 1024,
 *   publish(subject, bytes) {
 *     for (const events of subscribers.get(subject) ?? [])
 *       setImmediate(() => events.received(subject, bytes));
 *   },
 *   async close() {},
 * };
 * const connect: ConnectEngine = async (wants: EngineWants, events) => {
 *   if (wants.stream !== undefined) throw new Error('this engine keeps no streams');
 *   for (const subject of wants.subjects)
 *     subscribers.set(subject, (subscribers.get(subject) ?? new Set()).add(events));
 *   events.up(engine);
 * };
 * export const limpet = new Limpet({ id: 1, links: [{ engine: connect, federation: 'house' }] });
 * ```
 */
export type ConnectEngine = (
  wants: EngineWants,
  events: EngineEvents,
  signal: AbortSignal,
) => Promise<void>;

/** The engine is not in reach, and another attempt will fail as well: the text says what to do. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
}
