import type { Channel, ChannelEvents } from '../transport/channel.ts';
import { explain } from './explain.ts';
import { EventPort } from './ports/event-port.ts';
import { requestOf, Tap, type TapOptions } from './tap.ts';

/**
 * Observes a bus over a channel, such as a WebSocket: `connect` opens it, and passes its events on. For
 * transports of one's own.
 */
export async function observeChannel(
  connect: (events: ChannelEvents) => Channel,
  options: TapOptions = {},
): Promise<Tap> {
  const request = requestOf(options);
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    const port = await EventPort.open(connect, request, { pid: 0, program: '' }, signal);
    return new Tap(port, 'a bus over a channel', signal);
  } catch (refusal) {
    signal?.throwIfAborted();
    throw explain('observe', refusal, 'observe a bus over a channel');
  }
}
