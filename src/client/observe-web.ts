import { explain } from './explain.ts';
import { mustBe } from './options.ts';
import { overWebSocket } from './ports/connect-web.ts';
import { EventPort } from './ports/event-port.ts';
import { requestOf, Tap, type TapOptions } from './tap.ts';
import { type WebPlace, webOptions } from './web-place.ts';

/**
 * The options of `observe` in a browser.
 *
 * @example
 * ```ts
 * import { observe, type ObserveOptions } from 'kbus/browser/observe';
 *
 * const token = location.hash.replace('#token=', '');
 * const options: ObserveOptions = { token, names: '$.Door.*', name: 'the door page' };
 * for await (const event of await observe(0, options)) {
 *   if (event.type === 'messages') document.title = event.messages.at(-1)?.name ?? '';
 * }
 * ```
 */
export interface WebObserveOptions extends TapOptions, WebPlace {
  /** Name of the program for people. Default: the title of the page. */
  name?: string | undefined;
}

/**
 * Observes a bus of a daemon that serves the web: gives a {@link Tap}, which tells in order what happens on it. Errors:
 *
 * - EACCES: the token is wrong, not for this bus, or does not give the right to observe
 * - EBADMSG: one of `names` is neither a name nor a wildcard
 * - ENOENT, EINVAL, EPROTO, ETIMEDOUT, ENOMEM: as for `Ksock.open`
 *
 * @see {@link WebObserveOptions} for an example
 */
export async function observe(bus = 0, options: WebObserveOptions = {}): Promise<Tap> {
  const request = requestOf(options, ['url', 'token', 'WebSocket', 'name']);
  const { name, signal } = options;
  if (name !== undefined) mustBe('string', 'name', name);
  const place = webOptions(bus, options);
  signal?.throwIfAborted();
  try {
    const port = await overWebSocket(bus, place, signal, (connect, cancelled) =>
      EventPort.open(connect, request, { pid: 0, program: place.program }, cancelled),
    );
    return new Tap(port, `bus ${bus}`, signal);
  } catch (refusal) {
    signal?.throwIfAborted();
    throw explain('observe', refusal, `observe bus ${bus}`);
  }
}
