import type { Message } from '../../message/message.ts';
import { type Address, keyOf } from '../hub/address.ts';
import type { Entry } from '../hub/frame.ts';
import { LinkError } from '../link/native-codec.ts';
import type { StoredMessage, StreamState } from './engine.ts';
import { decodePiece, firstOf, ParcelReader, type Piece, type WireMark } from './journal-codec.ts';

/**
 * With so many messages of the stream, or Announcements, the reader waits until the bus has them. If the Limpet is killed meanwhile, nobody
 * knows which of these the bus has.
 */
const MAX_CHUNK = 64;
const MAX_GIVEN = 256;

/**
 * After so many ticks, what should have come on a wire is not waited for any more, nor what the stream should have brought: the
 * one or the other is as good as lost.
 */
export const PATIENCE = 15;

/** Of so many lives of Limpets it is known how far they have come. */
const MAX_KNOWN = 4096;

/** The pieces of a parcel are given up when this many messages have come behind its first one. */
const MAX_BETWEEN = 10_000;

/** How far a bus has the stream: what must outlast its Limpet. */
export interface Cursor {
  readonly created: string;
  /** The end of the stream when the bus joined: what came before is not for it. */
  readonly start: number;
  /** The bus has all up to this number of the stream. */
  readonly seq: number;
  /** By key of a Limpet: the first and the last number of what it was being given. Of that, nobody knows what it has. */
  readonly given: readonly (readonly [key: string, first: number, last: number])[];
  /** By key of a Limpet: the number of the last of its Announcements. */
  readonly known: readonly (readonly [key: string, number: number])[];
}

export interface JournalReaderHost {
  /** An Announcement for the bus. */
  deliver(message: Message): void;
  /** The Limpet of this network id could not store this Announcement: it is too large. */
  refused(message: Message, id: number): void;
  /** Announcements of the Limpet of this network id are lost, or may be. */
  missed(count: number, id: number): void;
  /** Calls back when the bus has all that it was given. */
  flush(done: () => void): void;
  /** Keeps the cursor for the next run. */
  save(cursor: Cursor): void;
  /** Whether all that was sent on the wire before has come; true if it never will. */
  hasCome(mark: WireMark, from: number): boolean;
  /** The bus was given more. */
  moved(): void;
  warn(text: string): void;
}

interface Current {
  readonly seq: number;
  readonly origin: Address;
  readonly since: number;
  readonly parcel: ParcelReader;
}

/** Pieces of a parcel. */
interface Assembly {
  readonly seq: number;
  readonly first: number;
  readonly pieces: Uint8Array[];
}

/**
 * Reads the stream of a federation, and gives its bus each Announcement of the other Limpets once, in the order of the stream.
 *
 * - A message of the stream that comes again has a number that is no higher than the last one. An Announcement that is in the
 *   stream twice has a number that is no higher than the last one of its Limpet, which stores one message at a time.
 * - The cursor is saved before the bus is given a chunk, and when it has it. If the Limpet ends in between, the next one does not
 *   give it the chunk again, and says how much the bus may have missed.
 * - What a sender sent to this Limpet directly before an Announcement is waited for.
 */
export class JournalReader {
  private readonly id: number;
  private readonly host: JournalReaderHost;
  private created = '';
  /** By key: the number of the last Announcement of that Limpet. */
  private readonly known = new Map<string, number>();
  /** By key of the sender. */
  private readonly assemblies = new Map<string, Assembly>();
  private queue: StoredMessage[] = [];
  private current: Current | null = null;
  /** The last message that came, and the last one that is dealt with. */
  private taken = 0;
  private position = 0;
  /** The end of the chunk that the bus is being given; 0: none. */
  private chunkEnd = 0;
  private given = 0;
  private isFlushing = false;
  /** What the run before was giving to the bus: how many Announcements of which Limpet. */
  private doubtful: [count: number, id: number][] = [];
  /** The end of the stream when this bus joined. */
  private start = 0;
  private isUnsaved = false;
  /** What came next waits for something that was sent directly; for how many ticks. */
  private isHeld = false;
  private heldFor = 0;
  isPaused = false;

  constructor(id: number, cursor: Cursor | null, host: JournalReaderHost) {
    this.id = id;
    this.host = host;
    if (cursor === null) return;
    this.created = cursor.created;
    this.start = cursor.start;
    this.taken = this.position = cursor.seq;
    for (const [key, number] of cursor.known) this.known.set(key, number);
    for (const [key, first, last] of cursor.given) {
      const before = this.known.get(key) ?? first - 1;
      if (last <= before) continue;
      this.doubtful.push([last - before, Number.parseInt(key, 10)]);
      this.known.set(key, last);
    }
  }

  /** The number of the last message of the stream that is dealt with. */
  get seq(): number {
    return this.position;
  }

  /** The number of the last Announcement of this Limpet that the bus was given. */
  lastOf(key: string): number {
    return this.known.get(key) ?? 0;
  }

  /** The stream has had the first `number` Announcements of this Limpet: those that have not come by now never will. */
  settle(origin: Address, number: number): void {
    const key = keyOf(origin);
    const before = this.known.get(key);
    if (before === undefined || number <= before) return;
    this.host.missed(number - before, origin.id);
    this.known.set(key, number);
  }

  /** The stream is open: gives the number from which on it must be read. */
  open({ created, first, last }: StreamState): number {
    for (const [count, id] of this.doubtful.splice(0)) this.host.missed(count, id);
    this.queue = [];
    const isFirstTime = this.created === '';
    if (isFirstTime) {
      this.start = this.taken = last;
    } else if (created !== this.created) {
      this.host.warn('the stream was made anew: what it held before is lost');
      this.start = 0;
      this.taken = first - 1;
    } else {
      this.taken = this.current?.seq ?? this.position;
      if (last < this.taken) {
        this.host.warn(
          `the server has lost the last messages of the stream: it ends with number ${last}, and this bus has number ${this.taken}`,
        );
        this.taken = last;
      } else if (first > this.taken + 1) {
        this.host.warn(
          `the stream does not hold ${first - 1 - this.taken} messages any more that this bus has not got: it begins with number ${first}`,
        );
        this.taken = first - 1;
      }
    }
    this.created = created;
    if (this.current === null) this.position = this.taken;
    if (this.chunkEnd === 0) this.save([]);
    return this.taken + 1;
  }

  take(message: StoredMessage): void {
    const { seq } = message;
    if (seq <= this.taken) return;
    this.taken = seq;
    this.queue.push(message);
    this.pump();
  }

  /** How many messages have come that are not dealt with. */
  get backlog(): number {
    return this.queue.length;
  }

  /** The bus has not got all that it is being given. */
  get isGiving(): boolean {
    return this.chunkEnd > 0;
  }

  /** Takes nothing more than the bus is being given. */
  finish(): void {
    this.queue = this.queue.filter(({ seq }) => seq <= this.chunkEnd);
  }

  /** Gives the bus what has come, as far as nothing is to be waited for. */
  pump(): void {
    while (!this.isPaused && !this.isFlushing) {
      if (this.current === null && !this.next()) break;
      if (this.current !== null && !this.give(this.current)) return;
    }
    if (this.chunkEnd > 0 && !this.isPaused && !this.isFlushing) this.endChunk();
  }

  /** Takes the next message from the queue. False if there is none, or the chunk is full. */
  private next(): boolean {
    const [message] = this.queue;
    if (message === undefined || (this.chunkEnd > 0 && message.seq > this.chunkEnd)) return false;
    const sender = senderOf(message.subject);
    const isOurs = sender === this.id;
    if (!isOurs && this.chunkEnd === 0) this.beginChunk();
    this.queue.shift();
    if (isOurs) {
      this.done(message.seq);
      return true;
    }
    try {
      const parcel = this.assemble(sender, message);
      if (parcel === null) this.done(message.seq);
      else this.current = parcel;
    } catch (error) {
      this.unreadable(sender, message.seq, error);
    }
    return true;
  }

  private unreadable(sender: number, seq: number, error: unknown): void {
    if (!(error instanceof LinkError)) throw error;
    this.host.warn(
      `message ${seq} of the stream, of Limpet ${sender}, can't be read: ${error.message}`,
    );
    this.current = null;
    this.done(seq);
  }

  private done(seq: number): void {
    this.position = seq;
    this.isUnsaved = true;
    this.isHeld = false;
    this.heldFor = 0;
  }

  /** A parcel whose last piece this is. */
  private assemble(sender: number, { seq, bytes }: StoredMessage): Current | null {
    const { life, first, last, since, index, count, bytes: part } = decodePiece(bytes);
    const origin = { id: sender, life };
    if (count === 1) return { seq, origin, since, parcel: new ParcelReader(part, origin) };
    const key = keyOf(origin);
    // A piece that came late, of a parcel that the bus has.
    if (last <= this.lastOf(key)) return null;
    let assembly = this.assemblies.get(key);
    if (index === 0 && assembly?.first !== first) {
      assembly = { seq, first, pieces: [] };
      this.assemblies.set(key, assembly);
    }
    if (assembly?.first !== first || assembly.pieces.length !== index) return null;
    assembly.pieces.push(part);
    if (assembly.pieces.length < count) return null;
    this.assemblies.delete(key);
    return { seq, origin, since, parcel: new ParcelReader(Buffer.concat(assembly.pieces), origin) };
  }

  /** Gives the bus the sections of a parcel. False if one has to wait. */
  private give(current: Current): boolean {
    const { parcel, origin, seq } = current;
    try {
      while (!parcel.isAtEnd) {
        if (this.isPaused || !this.mayGive(parcel.marks(), origin)) return false;
        for (const entry of parcel.entries()) this.arrived(current, entry);
        this.host.moved();
      }
    } catch (error) {
      this.unreadable(origin.id, seq, error);
      return true;
    }
    this.current = null;
    this.done(seq);
    this.host.moved();
    return true;
  }

  private mayGive(marks: readonly WireMark[], { id }: Address): boolean {
    if (this.heldFor > PATIENCE) return true;
    this.isHeld = marks.some((mark) => mark.peer === this.id && !this.host.hasCome(mark, id));
    return !this.isHeld;
  }

  private arrived({ origin, since }: Current, entry: Entry): void {
    const { n: number, message, refusal } = entry;
    const first = firstOf(entry);
    const key = keyOf(origin);
    const before = this.known.get(key);
    if (before !== undefined && number <= before) return;
    const missing = before !== undefined || this.joined(since) ? first - (before ?? 0) - 1 : 0;
    if (missing > 0) {
      this.host.missed(missing, origin.id);
      this.known.set(key, first - 1);
      this.host.moved();
    }
    if (before === undefined && this.known.size >= MAX_KNOWN) {
      const [oldest] = this.known.keys();
      this.known.delete(oldest as string);
    }
    this.known.set(key, number);
    this.given++;
    if (refusal === 0) this.host.deliver(message);
    else this.host.refused(message, origin.id);
  }

  /** Whether this bus was there when a Limpet began to announce: then all of that is for it. */
  private joined(since: number): boolean {
    return since === 0 || since > this.start;
  }

  private beginChunk(): void {
    const given: [string, number, number][] = [];
    let announced = 0;
    let messages = 0;
    for (const { seq, subject, bytes } of this.queue) {
      if (messages++ === MAX_CHUNK || announced >= MAX_GIVEN) break;
      this.chunkEnd = seq;
      const piece = pieceOf(bytes);
      const sender = senderOf(subject);
      if (piece === null || piece.index < piece.count - 1 || sender === this.id) continue;
      const { first, last, life, since } = piece;
      announced += last - first + 1;
      given.push([keyOf({ id: sender, life }), this.joined(since) ? 1 : first, last]);
    }
    this.given = 0;
    this.save(given);
  }

  private endChunk(): void {
    if (this.given === 0) {
      this.chunkEnded();
      return;
    }
    this.isFlushing = true;
    this.host.flush(() => {
      this.isFlushing = false;
      this.given = 0;
      this.chunkEnded();
    });
  }

  private chunkEnded(): void {
    this.chunkEnd = 0;
    this.save([]);
    this.pump();
  }

  private save(given: Cursor['given']): void {
    let seq = this.position;
    for (const [key, assembly] of this.assemblies) {
      if (seq - assembly.seq > MAX_BETWEEN) this.assemblies.delete(key);
      else seq = Math.min(seq, assembly.seq - 1);
    }
    this.isUnsaved = false;
    const { created, start } = this;
    this.host.save({
      created,
      start,
      seq,
      given,
      known: [...this.known],
    });
  }

  /** A second has passed. */
  tick(): void {
    if (this.isHeld) this.heldFor++;
    if (this.isUnsaved && this.chunkEnd === 0) this.save([]);
    this.pump();
  }
}

/** The network id at the end of a subject. */
function senderOf(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1));
}

/** Null: no Limpet has sent it. */
function pieceOf(bytes: Uint8Array): Piece | null {
  try {
    return decodePiece(bytes);
  } catch {
    return null;
  }
}
