import type { Mode } from './calls.ts';

/**
 * One binding, as told to people and programs.
 *
 * @see {@link BusReport} for an example
 */
export interface BindingReport {
  device: number;
  ksock: number;
  /** The name of the Ksock's program, or ''. */
  program: string;
  /** Its process id; 0: unknown. */
  pid: number;
  /** Whether the program itself says so; at a device file, the kernel tells the process. */
  claimed: boolean;
  replier: boolean;
  name: string;
}

/**
 * The state of one Ksock in a {@link BusReport}.
 *
 * @see {@link BusReport} for an example
 */
export interface KsockReport {
  ksock: number;
  /** The program's name, or ''. */
  program: string;
  /** Its process id; 0: unknown. */
  pid: number;
  /** The user who owns that process; -1: unknown. */
  uid: number;
  /** Whether the program itself says so; at a device file, the kernel tells process and user. */
  claimed: boolean;
  mode: Mode;
  lastMessage: { networkId: number; serialNum: number };
  queue: number;
  maxMessages: number;
  readAt: number;
  readLength: number;
  wroteAt: number;
  wrotePart: string;
  wroteAll: boolean;
  sending: boolean;
  outstandingRequests: number;
  maxOutstandingRequests: number;
  unsentReplies: number;
  maxUnsentReplies: number;
  /** How long the oldest unread message has waited, in milliseconds; null: there is none, or no clock (a bus in this process). */
  unreadAge: number | null;
  /** The same of the oldest Request that it has read and not answered, since it read that. */
  unsentReplyAge: number | null;
  /** Messages that it has read, with Replies to its Requests, and has sent, since it was opened. */
  messagesRead: number;
  messagesSent: number;
  /** Messages missed as a listener because the queue was full. */
  missed: number;
  /** All the memory that it holds, in bytes (spec 1 §14.1). A message in several queues counts in each of them. */
  held: number;
}

/**
 * An access point: who may use it, and what its users may do (spec 1 §13).
 *
 * @see {@link BusReport} for an example
 */
export interface AccessReport {
  device: number;
  /** '' for that of the owner, which has no name. */
  name: string;
  /** Of its socket or device file; '' for a bus in this process. */
  path: string;
  /** Permission bits of that file in octal, and its user and group; '' and null if there is no file. */
  mode: string;
  owner: number | null;
  group: number | null;
  /** Of: read, write, reply, observe, manage. */
  rights: string[];
  /** The names that its users may send, listen to and reply for, as wildcards; null: all names. */
  send: string[] | null;
  listen: string[] | null;
  reply: string[] | null;
  /** The file with the address of the page and the token for pages; '' if pages have none. */
  web: string;
}

/**
 * The state of a bus and its Ksocks: what `Ksock.stats` gives.
 *
 * @example
 * ```ts
 * import { type AccessReport, type BindingReport, Bus, type BusReport, Ksock } from 'kbus';
 * import type { KsockReport } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus(), { name: 'heater' });
 * await ksock.bind('$.Heater.Set', true);
 * const { memoryHeld, maxMemory, ksocks }: BusReport = await ksock.stats();
 * console.log(memoryHeld < maxMemory); // → true
 * const isFull = ({ queue, maxMessages }: KsockReport): boolean => queue >= maxMessages;
 * console.log(ksocks.length, ksocks.filter(isFull).length); // → 1 0
 * const [binding]: BindingReport[] = await ksock.readBindings();
 * console.log(binding?.program, binding?.replier, binding?.name); // → heater true $.Heater.Set
 * const [owners]: AccessReport[] = await ksock.accessPoints();
 * console.log(owners?.rights.join()); // → read,write,reply,observe,manage
 * await ksock.close();
 * ```
 */
export interface BusReport {
  device: number;
  nextKsock: number;
  nextMessage: number;
  unsentUnbindings: number;
  /** What all programs of this bus, and of those that share its memory, hold together, and what they may, in bytes. */
  memoryHeld: number;
  maxMemory: number;
  ksocks: KsockReport[];
}
