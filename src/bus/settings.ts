import { checkOptions } from '../base/options.ts';

/**
 * Settings that are fixed when the bus is made.
 *
 * @see {@link Buses} for an example
 */
export interface BusSettings {
  /** How many messages the queue of a new Ksock may hold. 1 or more. */
  maxMessages: number;
  /** The size in bytes of the largest message, counted as in spec 1 §4.4. */
  maxMessageSize: number;
  /** The largest maximum message size that a program may set, in bytes. */
  absoluteMaxMessageSize: number;
  /**
   * How many bytes programs may hold on the buses that share this memory (spec 1 §14.1): unread messages, each counted
   * once and with the cost of keeping it (see COSTS), unanswered Requests, bindings, sends that wait, and what is on its
   * way through sockets.
   */
  maxMemory: number;
  /** How many bytes the unread messages of one Ksock may have, counted likewise; then its queue is full. */
  maxQueuedBytesPerKsock: number;
  /** How many bindings there may be on the bus. */
  maxBindings: number;
  /** How many bindings one Ksock may have. */
  maxBindingsPerKsock: number;
  /** A Ksock that has read this many Requests without answering them gets no more Requests. */
  maxUnansweredPerKsock: number;
}

/** A Reply up to this size in bytes always passes, however small the maximum is: every Replier can tell of an error. */
export const SMALL_REPLY_BYTES = 256;

/** The smallest maximum message size that a program may set, in bytes. */
export const MIN_MESSAGE_SIZE = 100;

export const BUS_DEFAULTS: Readonly<BusSettings> = {
  maxMessages: 10_000,
  maxMessageSize: 16 * 1024 * 1024,
  absoluteMaxMessageSize: 16 * 1024 * 1024,
  // Only programs gone wild meet these limits. One Ksock can't take all the memory of a bus.
  maxMemory: 1024 * 1024 * 1024,
  maxQueuedBytesPerKsock: 256 * 1024 * 1024,
  maxBindings: 1024 * 1024,
  maxBindingsPerKsock: 256 * 1024,
  maxUnansweredPerKsock: 256 * 1024,
};

/**
 * Some of the settings; an undefined one is as if it was not given.
 *
 * @see {@link Buses} for an example
 */
export type Given<Settings> = { [Name in keyof Settings]?: Settings[Name] | undefined };

const NAMES: ReadonlySet<string> = new Set(['number', ...Object.keys(BUS_DEFAULTS)]);

/** The settings, with defaults for those not given. Throws a TypeError that names an unknown setting. */
export function settingsOf(given: Given<BusSettings>): BusSettings {
  checkOptions('a Bus', given, NAMES);
  const settings: BusSettings = { ...BUS_DEFAULTS };
  for (const name of Object.keys(given) as (keyof BusSettings)[]) {
    const value = given[name];
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

/** Bytes that it costs to keep something, beside the bytes of messages; about as measured. */
export const COSTS = {
  /** A batch of messages, with its part of what a piece of received memory costs. */
  message: 320,
  /** A batch's place in one queue. */
  place: 32,
  /** A message that waits to be sent, beside the message. */
  waiting: 64,
  /** An unanswered Request: as much as a Status, or a Reply of SMALL_REPLY_BYTES, that takes its place in a queue. */
  request: 608,
  /** An open Ksock, with its connection; likewise a program that observes. */
  ksock: 8192,
  /** A connection that is no Ksock yet. */
  connection: 6144,
  /** A bus that a program makes, with its socket. */
  bus: 24 * 1024,
  /** A binding, beside its name, which is there up to three times. */
  binding: 576,
} as const;

/** Bytes that it costs to keep a binding to this name. */
export function costOfBinding(name: string): number {
  return COSTS.binding + 3 * name.length;
}

/** A Ksock may bind one name as Listener so many times (spec 1 §14.3). */
export const MAX_SAME_LISTENERS = 16;

/** How many bindings of a bus may be wildcards: each of them may match any name, and then costs a step of every send. */
export const MAX_WILDCARDS = 16_384;

/** So many unanswered Requests of one Ksock may have the same id, which only a Limpet's can. */
export const MAX_SAME_IDS = 16;

/** Queue length in messages of a program at a device file, unless it sets another: such programs were written for it. */
export const DEVICE_MAX_MESSAGES = 100;

/** There are at most this many buses, numbered from 0 (spec 1 §1). */
export const MAX_BUSES = 256;
