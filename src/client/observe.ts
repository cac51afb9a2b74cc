import { Bus } from '../bus/bus.ts';
import { explain } from './explain.ts';
import { mustBe } from './options.ts';
import type { EventSource, ObserveRequest } from './ports/event-port.ts';
import { LocalEvents } from './ports/local-events.ts';
import { requestOf, Tap, type TapOptions } from './tap.ts';
import { checkWhere, ownName } from './where.ts';

/**
 * The options of {@link observe}.
 *
 * @example
 * ```ts
 * import { Announcement, Ksock, observe, type ObserveOptions } from 'kbus';
 *
 * const options: ObserveOptions = { name: 'watcher', names: '$.Door' };
 * const tap = await observe(0, options);
 * const ksock = await Ksock.open(0);
 * await ksock.sendMsg(new Announcement('$.Door', 'open'));
 * for await (const event of tap) {
 *   if (event.type === 'messages') console.log(event.messages[0]?.text()); // → open
 *   if (event.type === 'sent') break;
 * }
 * await ksock.close();
 * ```
 */
export interface ObserveOptions extends TapOptions {
  /** Directory of the daemon's sockets; as for `Ksock.open`. */
  directory?: string | undefined;
  /** Name of an access point of the bus; it must have the right to observe. Default: the socket without a name. */
  access?: string | undefined;
  /** Name of the program for people. Default: the file name of the program. */
  name?: string | undefined;
  /**
   * In place of what happens from now on: what the daemon has kept of the last so many milliseconds, with the state of the bus
   * before that; then the iteration ends. It shows all messages, so `names`, `kinds` and `data` must not be given. EINVAL if
   * the daemon keeps no history (`kbus serve --history 4MiB`), ENOMEM if programs hold too much memory (`max-memory`).
   */
  past?: number | undefined;
}

/** @internal A transport for taps. */
export type ConnectEvents = (
  request: ObserveRequest,
  signal: AbortSignal | undefined,
) => Promise<EventSource>;

/**
 * Observes a bus: gives a {@link Tap}, which tells in order what happens on it. It is no Ksock, takes no message from
 * anybody, and never makes the bus wait. `where` is the number of a bus of this machine's daemon, from 0 (default 0), or a
 * {@link Bus} in this process. Errors:
 *
 * - EACCES: the access point does not give the right to observe, or the file mode of the socket does not admit this user
 * - EBADMSG: one of `names` is neither a name nor a wildcard
 * - ENOENT, EINVAL, ENAMETOOLONG, EPROTO, ETIMEDOUT, ENOMEM: as for {@link Ksock.open}
 *
 * @see {@link ObserveOptions} for an example
 */
export function observe(where?: number | Bus, options?: ObserveOptions): Promise<Tap>;
/** @internal Observes over a transport. */
export function observe(where: ConnectEvents, options?: ObserveOptions): Promise<Tap>;
export async function observe(
  where: number | Bus | ConnectEvents = 0,
  options: ObserveOptions = {},
): Promise<Tap> {
  const { access, directory, name, signal } = options;
  const request = {
    ...requestOf(options, ['directory', 'access', 'name', 'past']),
    ...pastOf(options),
  };
  for (const [what, value] of Object.entries({ access, directory, name })) {
    if (value !== undefined) mustBe('string', what, value);
  }
  checkWhere(where, access);
  signal?.throwIfAborted();
  const target =
    typeof where === 'number'
      ? `bus ${where}`
      : where instanceof Bus
        ? 'a bus in this process'
        : 'a bus over a transport';
  try {
    return new Tap(await sourceOf(where, request, options), target, signal);
  } catch (refusal) {
    signal?.throwIfAborted();
    throw explain('observe', refusal, `observe ${target}`);
  }
}

const MAX_PAST = 0xffff_ffff;

function pastOf({ past, names, kinds, data }: ObserveOptions): { past?: number } {
  if (past === undefined) return {};
  if (!(past >= 0))
    throw new TypeError(`past must be a number of milliseconds, not ${String(past)}`);
  if (names !== undefined || kinds !== undefined || data !== undefined) {
    throw new TypeError(
      'with past, all messages are shown: names, kinds and data must not be given',
    );
  }
  return { past: Math.min(Math.ceil(past), MAX_PAST) };
}

async function sourceOf(
  where: number | Bus | ConnectEvents,
  request: ObserveRequest,
  { access, directory, name, signal }: ObserveOptions,
): Promise<EventSource> {
  if (where instanceof Bus) {
    if (request.past === undefined) return new LocalEvents(where, request);
    throw new TypeError('a bus in this process keeps no history: only a daemon does');
  }
  if (typeof where === 'function') return where(request, signal);
  const { observeUnix } = await import('./ports/connect-unix.ts');
  return observeUnix(where, request, { access, directory, program: ownName(name) }, signal);
}
