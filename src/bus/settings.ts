import { checkOptions } from '../base/options.ts';

/** What is fixed when a bus is made. */
export interface BusSettings {
  /** How many messages the queue of a new Ksock may hold. 1 or more. */
  maxMessages: number;
  /** The size in bytes of the largest message, counted as in spec 1 §4.4. */
  maxMessageSize: number;
  /** The largest value that a program may set the maximum size to. */
  absoluteMaxMessageSize: number;
  /**
   * How many bytes the bus may keep for its programs: unread messages, each counted once and with what it
   * costs to keep it (see COSTS), and unanswered Requests. Replies may have as much again, and small ones more.
   */
  maxQueuedBytes: number;
  /** How many of these the unread messages of one Ksock may have, counted likewise; then its queue is full. */
  maxQueuedBytesPerKsock: number;
  /** How many bindings there may be on the bus. */
  maxBindings: number;
  /** How many bindings one Ksock may have. */
  maxBindingsPerKsock: number;
  /** A Ksock that has read this many Requests without answering them is given no more. */
  maxUnansweredPerKsock: number;
}

/** No message is smaller, so no maximum may be. */
export const MIN_MESSAGE_SIZE = 100;

export const BUS_DEFAULTS: Readonly<BusSettings> = {
  maxMessages: 10_000,
  maxMessageSize: 16 * 1024 * 1024,
  absoluteMaxMessageSize: 16 * 1024 * 1024,
  // Against programs gone wild; others never meet these. One Ksock can't take all that a bus has.
  maxQueuedBytes: 1024 * 1024 * 1024,
  maxQueuedBytesPerKsock: 256 * 1024 * 1024,
  maxBindings: 4 * 1024 * 1024,
  maxBindingsPerKsock: 1024 * 1024,
  maxUnansweredPerKsock: 256 * 1024,
};

/** Some of the settings; those that are undefined are as if they were not given. */
export type Given<Settings> = { [Name in keyof Settings]?: Settings[Name] | undefined };

const NAMES: ReadonlySet<string> = new Set(['number', ...Object.keys(BUS_DEFAULTS)]);

/** A TypeError that names a setting that there is not. */
export function settingsOf(given: Given<BusSettings>): BusSettings {
  checkOptions('a Bus', given, NAMES);
  const settings: BusSettings = { ...BUS_DEFAULTS };
  for (const name of Object.keys(given) as (keyof BusSettings)[]) {
    const value = given[name];
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

/** What it costs to keep something, in bytes, beside the bytes of messages: about what was measured. */
export const COSTS = {
  /** A message, or several that came together. */
  message: 224,
  /** Its place in one queue. */
  place: 32,
  /** A Request that was not answered. */
  request: 256,
} as const;

/** How many the queue of a program at a device file may hold at most, unless it asks for more: it was written for that. */
export const DEVICE_MAX_MESSAGES = 100;

/** There are at most this many buses, numbered from 0 (spec 1 §1). */
export const MAX_BUSES = 256;
