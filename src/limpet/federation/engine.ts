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
 * import { type ConnectEngine, type Engine, type EngineEvents, Limpet } from 'kbus/limpet';
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
 * const connect: ConnectEngine = async (subjects, events) => {
 *   for (const subject of subjects)
 *     subscribers.set(subject, (subscribers.get(subject) ?? new Set()).add(events));
 *   events.up(engine);
 * };
 * export const limpet = new Limpet({ id: 1, links: [{ engine: connect, federation: 'house' }] });
 * ```
 */
export type ConnectEngine = (
  subjects: readonly string[],
  events: EngineEvents,
  signal: AbortSignal,
) => Promise<void>;

/** The engine is not in reach, and another attempt will fail as well: the text says what to do. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
}
