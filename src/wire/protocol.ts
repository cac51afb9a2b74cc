/**
 * The frames between a client and the daemon, on one connection, which is one Ksock on one bus. All
 * numbers are in network order, and every length is a multiple of 4. docs/protocol.md specifies them.
 *
 *      0 u32 length of the frame in bytes, these included
 *      4 u8  kind    5 u8 detail    6 u16 consumed
 *      8 u32 token
 *     12 the body, by kind
 *
 * `consumed`, from a client: the number of prefetched messages that its program has consumed since the last report.
 * `token`: the client chooses it, and the answer has the same one.
 */
export const FRAME_HEADER = 12;

export const FRAME_AT = { length: 0, kind: 4, detail: 5, consumed: 6, token: 8, body: 12 } as const;

export const MAX_CONSUMED = 0xffff;

/** Raise it whenever a peer of the version before would misunderstand. */
export const PROTOCOL_VERSION = 7;

/** The mode of a HELLO that asks for WELCOME only: it has Ksock id 0, and the connection ends. */
export const ASK_WHO = 0;

/**
 * The mode of a HELLO. With MANAGE, the Ksock has no rights but to observe and to manage. OBSERVE, alone, opens no Ksock:
 * WELCOME has Ksock id 0, and the client may send OBSERVE. NAMES: the client reads NAMES, and records that leave names out.
 */
export const HelloMode = { READ: 1, BOTH: 3, MANAGE: 4, OBSERVE: 8, NAMES: 16 } as const;

/** Longest first frame of either end, HELLO or WELCOME, in bytes: before it, a peer may not occupy more memory. */
export const MAX_GREETING_BYTES = 4096;

/** `KBUS` in ASCII: the first word of HELLO and WELCOME. */
export const PROTOCOL_MAGIC = 0x4b425553;

export const FrameKind = {
  /** Client, first: u32 magic, u32 version, u32 mode (HelloMode, or ASK_WHO), u32 process id. Text: the program. */
  HELLO: 1,
  /**
   * Daemon, first: u32 magic, u32 version, u32 bus number, u32 Ksock id, u32 the daemon's process id,
   * u32 limit of pending sends, u32 limit of their data in bytes, u32 the longest frame in bytes.
   */
  WELCOME: 2,
  /** Daemon, last: u32 error number. Text: why the connection ends. */
  FAREWELL: 3,
  /** Client, first over WebSocket, before HELLO: u32 magic, u32 bus number. Text: the token, which gives the rights. */
  ENTER: 4,

  /**
   * Client: messages to send: u32 count, u32 0, u32 0, and as many records (message/codec/records.ts). `detail` holds
   * SendDetail bits, which apply to all of them. `token` is that of the first message; each further one has the next token.
   * The zeros are room for what the daemon says in its frames of messages: it passes most frames on where they lie.
   */
  SEND: 10,
  /** Client: take one message; `detail` 1 waits for it. Answered by TAKEN or NONE. Nothing may be prefetched. */
  TAKE: 11,
  /** Client: u32 number of further messages that the daemon may prefetch. */
  CREDIT: 12,
  /** Client: acknowledges the oldest PREFETCH_URGENT; from here on, `consumed` counts that message, too. */
  URGENT_ACK: 14,
  /** Client: `detail` holds an Op; u32 argument; text. Answered by RESULT or REFUSED. */
  CALL: 13,

  /**
   * Client, after a HELLO to observe: what it asks for, once; or, with ObserveDetail, nothing. u32 version of the events, u32 bits of the kinds of messages, u32 bytes of
   * each message's data, u32 bytes of events that may wait in the daemon. Text: names and wildcards, with spaces between
   * them; none: all. EVENTS follow.
   */
  OBSERVE: 15,

  // These have messages: u32 count, u32 from, u32 serial, and as many records. Message i (from 0) has the id
  // [0:serial + i], unless its record has one. `detail` YOU: they are Requests for the reader to answer.
  /**
   * Daemon: prefetched messages, unread until they are consumed. The program reads them after those prefetched before. `detail`
   * CARRIED: they are Announcements of another bus. u32 network, u32 Ksock stand before the records; message i has the id
   * [network:serial + i] and the orig_from [network:Ksock].
   */
  PREFETCH: 20,
  /** Daemon: one urgent prefetched message. The program reads it before those prefetched before. */
  PREFETCH_URGENT: 21,
  /** Daemon: the message that TAKE asked for; it is read. */
  TAKEN: 22,
  /**
   * Daemon: the Replies or Statuses to Requests sent with ANSWERED. `token` is that of the first Request; each further
   * Reply answers the next token.
   */
  ANSWER: 24,
  /** Daemon: TAKE found none, or was cancelled. */
  NONE: 23,
  /**
   * Daemon: u32 count, u32 network id, u32 serial, u32 bytes: `count` sends, from `token` on, are done; ids rise by one;
   * `bytes` is the sum of their data. A count of 1 without an id: the Request waits for ROOM; its ANSWER or a QUIET
   * REFUSED follows.
   */
  SENT: 25,
  /** Daemon: u32 count of the messages that the full queue missed. Text: the name of the first. */
  MISSED: 30,
  /**
   * Daemon: u32 count, and as many u32 numbers. Text: the names with these numbers, with spaces between them. From here on, either
   * end may leave them out of records (message/codec/records.ts).
   */
  NAMES: 32,
  /** Daemon: what happened on the bus: a block of events (tap/event-writer.ts). */
  EVENTS: 31,
  /** Daemon: u32 value, u32 value. Text. The answer to a CALL. */
  RESULT: 26,
  /**
   * Daemon: u32 error number. `detail` 0: the answer to a CALL. 1: to a SEND, 2: to a QUIET one: u32 network id and
   * u32 serial of the id that it used, and of the message u32 network id and u32 serial of its in_reply_to, u32 to,
   * u32 flags, u32 bytes of data, u32 length of its name. Text: its name, and the reason, if the daemon gives one. The
   * text of an answer to a CALL is the reason alone.
   */
  REFUSED: 27,
} as const;

export const SendDetail = {
  /** A message with ALL_OR_WAIT waits while a recipient's queue is full; its outcome follows when it is delivered. */
  WAIT: 1,
  /** The Reply comes as ANSWER with this token, not through the queue. */
  ANSWERED: 2,
  /** The daemon reports refusals only, not with SENT. */
  QUIET: 4,
  /** The daemon may delay SENT, and acknowledge many sends at once. */
  LAZY: 8,
  /** A Request waits for a queue slot of its sender, and one of its Replier; other sends pass it. */
  ROOM: 16,
} as const;

/**
 * In the detail of OBSERVE, which has no words then: the state of the bus is wanted again; or, no more is to be observed,
 * and the daemon ends the connection when it has sent what happened until now. PAST comes in place of the first OBSERVE, with
 * u32 version of the events, u32 milliseconds: the daemon sends what it has kept of that time, and ends the connection.
 */
export const ObserveDetail = { STATE_AGAIN: 1, LAST: 2, PAST: 3 } as const;

/** Where the records begin in a frame of messages. */
export const RECORDS_AT = FRAME_HEADER + 12;
/** The same with CARRIED. */
export const CARRIED_RECORDS_AT = RECORDS_AT + 8;

/** In the detail of a frame of messages: these are Requests for their reader to answer. */
export const YOU = 1;

/** In the detail of PREFETCH: the frame has the origin of its messages, and not their records. */
export const CARRIED = 2;

/** The peer broke a rule of the protocol: the connection must end. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
