/**
 * The frames between a client and the daemon, on one connection, which is one Ksock on one bus. All
 * numbers are in network order, and every length is a multiple of 4. docs/protocol.md tells the whole.
 *
 *      0 u32 length of the frame in bytes, these included
 *      4 u8  kind    5 u8 detail    6 u16 consumed
 *      8 u32 token
 *     12 what the kind says
 *
 * `consumed`, from a client: how many of the prefetched messages its program has consumed since the client last
 * reported it. `token` is the client's, and comes back with the answer.
 */
export const FRAME_HEADER = 12;

export const FRAME_AT = { length: 0, kind: 4, detail: 5, consumed: 6, token: 8, body: 12 } as const;

export const MAX_CONSUMED = 0xffff;

/** Raise it whenever a peer of another version would misunderstand. */
export const PROTOCOL_VERSION = 3;

/** The mode in the HELLO of somebody who only wants to know who answers: WELCOME tells, with Ksock id 0. */
export const ASK_WHO = 0;

/** `KBUS` in ASCII: the first word of HELLO and WELCOME. */
export const PROTOCOL_MAGIC = 0x4b425553;

export const FrameKind = {
  /** Client, first: u32 magic, u32 version, u32 mode (1 r, 3 rw, 0 see ASK_WHO), u32 process id. Text: the program. */
  HELLO: 1,
  /**
   * Daemon, first: u32 magic, u32 version, u32 bus number, u32 Ksock id, u32 the daemon's process id,
   * u32 how many sends may be pending, u32 how many bytes they may have, u32 the largest frame in bytes.
   */
  WELCOME: 2,
  /** Daemon, last: u32 error number. Text: why the connection ends. */
  FAREWELL: 3,

  /**
   * Client: messages to send: u32 count, and as many records (message/codec/records.ts). `detail` holds SendDetail bits,
   * which hold for all of them. `token` is the first one's; each of those behind it has the next.
   */
  SEND: 10,
  /** Client: take one message; `detail` 1 waits for it. Answered by TAKEN or NONE. Nothing may be prefetched. */
  TAKE: 11,
  /** Client: u32 how many more messages the daemon may prefetch. */
  CREDIT: 12,
  /** Client: acknowledges the oldest PREFETCH_URGENT; `consumed` counts behind it from here on. */
  URGENT_ACK: 14,
  /** Client: `detail` holds an Op; u32 argument; text. Answered by RESULT or REFUSED. */
  CALL: 13,

  // These have messages: u32 count, u32 from, u32 serial, and as many records. The ids of messages that have none
  // of a Limpet are [0:serial] and those behind it. `detail` YOU: they are Requests for the reader to answer.
  /** Daemon: messages in advance: unread until they are consumed. To be read after those prefetched before. */
  PREFETCH: 20,
  /** Daemon: the same, of one message that is urgent: it is to be read before those prefetched before. */
  PREFETCH_URGENT: 21,
  /** Daemon: the message that TAKE asked for; it is read. */
  TAKEN: 22,
  /**
   * Daemon: the Reply or Status to a Request that was sent to be ANSWERED. Of several, each has the token behind that
   * of the one before it.
   */
  ANSWER: 24,
  /** Daemon: TAKE found none, or was cancelled. */
  NONE: 23,
  /**
   * Daemon: u32 count, u32 network id, u32 serial, u32 bytes: this many sends, from `token` on, are done; ids rise by
   * one; their data had so many bytes together. With no id, of one: a Request that waits for ROOM, which only a QUIET
   * REFUSED, or its ANSWER, will follow.
   */
  SENT: 25,
  /** Daemon: u32 count: so many messages were missed, for the queue was full. Text: the name of the first. */
  MISSED: 30,
  /** Daemon: u32 value, u32 value. Text. The answer to a CALL. */
  RESULT: 26,
  /**
   * Daemon: u32 error number. `detail` 0: the answer to a CALL. 1: to a SEND, 2: to a QUIET one: u32 network id and
   * u32 serial of the id that it used, and of the message u32 network id and u32 serial of its in_reply_to, u32 to,
   * u32 flags, u32 bytes of data, u32 length of its name. Text: its name, and why it was refused, if that is told.
   * The same text, without a name, may follow the answer to a CALL.
   */
  REFUSED: 27,
} as const;

export const SendDetail = {
  /** ALL_OR_WAIT is carried through: the answer comes when the message was delivered. */
  WAIT: 1,
  /** The Reply comes as ANSWER with this token, not through the queue. */
  ANSWERED: 2,
  /** No SENT comes: only a refusal is told. */
  QUIET: 4,
  /** SENT may come late, for many at once: the client will SYNC, or wait until fewer are pending. */
  LAZY: 8,
  /** A Request waits for a place of its sender's, and for one of its Replier's, aside from all other sends. */
  ROOM: 16,
} as const;

/** Where the records begin in a SEND, and in the frames of a daemon that have messages. */
export const SENT_RECORDS_AT = FRAME_HEADER + 4;
export const RECORDS_AT = FRAME_HEADER + 12;

/** In the detail of a frame of messages: they are Requests for their reader to answer. */
export const YOU = 1;

/** The peer broke the rules of the protocol: the connection can't go on. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
