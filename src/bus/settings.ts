/** What is fixed when a bus is made. */
export interface BusSettings {
  /** How many messages the queue of a new Ksock may hold. 1 or more. */
  maxMessages: number;
  /** The size in bytes of the largest message, as 2-bytes of the specification lays it out. */
  maxMessageSize: number;
  /** The largest value that a program may set the maximum size to. */
  absoluteMaxMessageSize: number;
  /** How many bytes the unread messages of the bus may have together; each counts once. */
  maxQueuedBytes: number;
  /** How many bindings there may be on the bus. */
  maxBindings: number;
}

/** No message is smaller, so no maximum may be. */
export const MIN_MESSAGE_SIZE = 100;

export const BUS_DEFAULTS: Readonly<BusSettings> = {
  maxMessages: 100,
  maxMessageSize: 16 * 1024 * 1024,
  absoluteMaxMessageSize: 16 * 1024 * 1024,
  // Against programs gone wild; others never meet these.
  maxQueuedBytes: 1024 * 1024 * 1024,
  maxBindings: 4 * 1024 * 1024,
};

/** There are at most this many buses, numbered from 0 (the specification, section 1). */
export const MAX_BUSES = 256;
