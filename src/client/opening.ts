import type { Timers } from '../base/timers.ts';
import type { Mode } from '../message/calls.ts';
import { explain } from './explain.ts';
import { checkWait, type OpenOptions } from './options.ts';
import type { Connect } from './ports/port.ts';
import { reconnectDelays } from './ports/reconnect-options.ts';
import { ReconnectingPort } from './ports/reconnecting-port.ts';
import { warnOfMissed } from './warn-of-missed.ts';

/** What Ksocks need of their environment. */
export interface Environment {
  readonly timers: Timers;
  /** Prints a warning. */
  warn(text: string): void;
}

/** Makes a Ksock of an open port. */
export type MakeKsock<K> = (
  mode: Mode,
  reconnecting: ReconnectingPort,
  options: OpenOptions<K>,
  timers: Timers,
) => K;

/** Opens a Ksock; `checkOpenOptions` has checked its options. `chosen` gives the transport; errors call the bus `target`. */
export async function openKsock<K>(
  chosen: () => Promise<Connect>,
  target: string,
  options: OpenOptions<K>,
  make: MakeKsock<K>,
  { timers, warn }: Environment,
): Promise<K> {
  const { mode = 'rw', onBindRefused, onConnected, onDisconnected, onMissed, signal } = options;
  const delays = reconnectDelays(options.reconnect);
  checkWait(options);
  const connect = await chosen();
  const reconnecting = new ReconnectingPort(
    (events, ended) => connect(mode, events, ended),
    target,
    delays,
    {
      onConnected: () => onConnected?.(ksock),
      onDisconnected: (error) => onDisconnected?.(error),
      onBindRefused: (error, name) => {
        if (onBindRefused !== undefined) onBindRefused(error, name);
        else console.error(`kbus: ${error.message}; the Ksock retries until it succeeds`);
      },
      onMissed: onMissed ?? warnOfMissed(target, warn),
      onSettingRefused: (error) => console.error(`kbus: ${error.message}`),
    },
    timers,
  );
  try {
    await reconnecting.begin(signal);
  } catch (refusal) {
    signal?.throwIfAborted();
    throw explain('open', refusal, `open ${target}`);
  }
  const ksock = make(mode, reconnecting, options, timers);
  return ksock;
}
