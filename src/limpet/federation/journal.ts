import { setTimeout as delay } from 'node:timers/promises';
import { jittered } from '../../client/ports/reconnect-options.ts';
import type { Message } from '../../message/message.ts';
import type { Address } from '../hub/address.ts';
import type { Frame } from '../hub/frame.ts';
import type { Journal as HubJournal } from '../hub/hub.ts';
import type { Link } from '../hub/link.ts';
import { MISSED } from '../hub/names.ts';
import type { Filter } from '../hub/patterns.ts';
import type { SizeLimit } from '../hub/size-limit.ts';
import type { Settled } from '../hub/subscriber-feed.ts';
import type { StreamReport } from '../report.ts';
import { CursorFile } from './cursor-file.ts';
import type { Engine, EngineStream, StoredMessage } from './engine.ts';
import { HeldFrames } from './held-frames.ts';
import type { WireMark } from './journal-codec.ts';
import { type Cursor, JournalReader } from './journal-reader.ts';
import { Outbox } from './outbox.ts';

/** Delays before another attempt, in milliseconds: they double from the first to the last. */
const FIRST_DELAY_MS = 200;
const LAST_DELAY_MS = 5000;

/** The reader takes no more from the stream while so many messages of it wait. */
const MAX_BACKLOG = 256;

/** For so long, in milliseconds, a Limpet that stops tries to store what it still has. */
const STOP_TIMEOUT_MS = 3000;

/** What the stream does not reach is told when it was so for this many ticks. */
const TICKS_TO_WARN = 3;

/** Of the headers that go with each message that is stored, in bytes. */
const HEADERS = 1024;

/** The Limpet in one life on its bus, while it speaks for that. */
export interface JournalBus {
  deliver(message: Message): void;
  missed(count: number, id: number): void;
  /** Resolves when the bus has all that it was given. */
  flushed(): Promise<void>;
  pass(link: Link, frame: Frame): void;
  fail(link: Link, why: string): void;
  marks(): WireMark[];
  hasCome(mark: WireMark, from: number): boolean;
  settledSince(before: number): void;
  /** More may be read from the bus. */
  roomMade(): void;
}

export interface JournalOptions {
  readonly id: number;
  readonly stream: string;
  readonly subject: string;
  /** The file of the cursor; undefined: it ends with the Limpet. */
  readonly state: string | undefined;
  readonly maxBytes: number;
  /** What it refuses to store; null: it stores messages of any size. */
  readonly limit: SizeLimit | null;
  /** What may leave, and what may come. */
  readonly out: Filter;
  readonly into: Filter;
  tell(level: 'info' | 'warn', text: string): void;
}

/** What keeps the cursor. */
interface CursorStore {
  read(): Cursor | null;
  write(cursor: Cursor): void;
  close(): void;
}

/** A Limpet's part in the stream of its federation: drives the outbox and the reader. It outlasts the lives of the Limpet. */
export class Journal implements HubJournal {
  private readonly options: JournalOptions;
  private readonly outbox: Outbox;
  private engine: Engine | null = null;
  private stream: EngineStream | null = null;
  private bus: JournalBus | null = null;
  private reader: JournalReader | null = null;
  private held: HeldFrames | null = null;
  private store: CursorStore | null = null;
  private stopReading: (() => void) | null = null;
  private isPaused = false;
  private beyond = '';
  private beyondFor = 0;
  private wake: (() => void) | null = null;
  /** The Limpet stops, and waits until nothing is on its way. */
  private idle: (() => void) | null = null;
  private retryIn = FIRST_DELAY_MS;
  private trouble = 'the engine is not in reach yet';
  /** Aborted when the connection to the engine is lost. */
  private session = new AbortController();

  constructor(options: JournalOptions) {
    this.options = options;
    const journal = this;
    this.outbox = new Outbox(options.maxBytes, options.limit, {
      get maxPayload() {
        return journal.stream === null ? 0 : (journal.engine?.maxPayload ?? 0) - HEADERS;
      },
      marks: () => this.bus?.marks() ?? [],
      store: (bytes, id) => this.storeMessage(bytes, id),
      settledSince: (before) => this.bus?.settledSince(before),
    });
    if (options.state === undefined) this.store = memoryStore();
  }

  /** Throws an EngineError if the file of the cursor can't be used. */
  check(): void {
    if (this.options.state !== undefined) new CursorFile(this.options.state).close();
  }

  // The hub

  takes(name: string): boolean {
    return this.options.out.passes(name) || name === MISSED;
  }

  append(origin: Address, number: number, message: Message, direct: number): void {
    this.outbox.append(origin, number, message, direct);
  }

  flush(): void {
    this.outbox.flush();
  }

  get isFull(): boolean {
    return this.outbox.isFull;
  }

  settled(): Settled {
    return this.outbox.settled();
  }

  /** A frame has come over a link of the federation. */
  received(link: Link, frame: Frame): void {
    if (this.reader === null) this.bus?.pass(link, frame);
    else this.held?.received(link, frame);
  }

  linkDown(link: Link): void {
    this.held?.linkDown(link);
  }

  /** Something has come on a wire: what the reader waits for, perhaps. */
  poke(): void {
    if (this.reader?.isGiving) this.pump();
  }

  /** What the stream does not reach, as of now; '': it reaches all. Limpets that have just come may not have said all of themselves. */
  reaches(beyond: string): void {
    this.beyondFor = beyond === this.beyond ? this.beyondFor + 1 : 0;
    this.beyond = beyond;
    if (beyond !== '' && this.beyondFor === TICKS_TO_WARN) this.options.tell('warn', beyond);
  }

  report(): StreamReport {
    const { outbox, options, reader, beyond } = this;
    const { bytes: waiting, dropped } = outbox;
    // A bus that has never read the stream hears what is stored from now on.
    const isRead = reader === null || this.stopReading !== null;
    const trouble = this.trouble === '' && !isRead ? 'its reading begins' : this.trouble;
    return { name: options.stream, position: reader?.seq ?? 0, waiting, dropped, trouble, beyond };
  }

  // The bus

  /** A life of the Limpet begins; it does not speak for its bus yet. */
  begin(bus: JournalBus): void {
    const journal = this;
    this.held = new HeldFrames({
      pass: (link, frame) => bus.pass(link, frame),
      flush: () => bus.roomMade(),
      lastOf: (key) => this.reader?.lastOf(key) ?? 0,
      get seq() {
        return journal.reader?.seq ?? 0;
      },
      settle: (origin, number) => this.reader?.settle(origin, number),
      fail: (link, why) => bus.fail(link, why),
    });
    this.bus = bus;
  }

  /** The Limpet speaks for its bus from now on. */
  speaks(): void {
    const { bus, options } = this;
    if (bus === null || this.reader !== null) return;
    if (options.state !== undefined) {
      try {
        this.store = new CursorFile(options.state);
      } catch (error) {
        options.tell('warn', (error as Error).message);
        return;
      }
    }
    const { store } = this;
    this.reader = new JournalReader(options.id, store?.read() ?? null, {
      deliver: (message) => {
        const { name } = message;
        if (options.into.passes(name) || name === MISSED) bus.deliver(message);
      },
      refused: ({ name }, id) => {
        if (options.into.passes(name)) bus.missed(1, id);
      },
      missed: (count, id) => bus.missed(count, id),
      flush: (done) => {
        bus.flushed().then(
          () => {
            if (this.bus !== bus) return;
            done();
            this.wakeUp();
          },
          () => {},
        );
      },
      save: (cursor) => store?.write(cursor),
      hasCome: (mark, from) => bus.hasCome(mark, from),
      moved: () => this.held?.moved(),
      warn: (text) => options.tell('warn', `stream ${options.stream}: ${text}`),
    });
    this.reader.isPaused = this.isPaused;
    if (this.stream !== null) void this.read(this.stream, this.session.signal);
  }

  /** The Limpet has left its bus. */
  pause(): void {
    this.stopReading?.();
    this.stopReading = null;
    this.bus = null;
    this.reader = null;
    this.held = null;
    if (this.options.state !== undefined) {
      this.store?.close();
      this.store = null;
    }
    this.wakeUp();
  }

  /** The bus is slow, or not any more. */
  slow(isSlow: boolean): void {
    this.isPaused = isSlow;
    if (this.reader === null) return;
    this.reader.isPaused = isSlow;
    if (!isSlow) this.pump();
  }

  private pump(): void {
    this.reader?.pump();
    this.wakeUp();
  }

  private wakeUp(): void {
    this.noteIdle();
    const { reader, wake } = this;
    if (wake === null || (reader !== null && reader.backlog >= MAX_BACKLOG)) return;
    this.wake = null;
    wake();
  }

  tick(): void {
    this.reader?.tick();
    this.held?.tick();
    this.wakeUp();
  }

  // The engine

  up(engine: Engine): void {
    this.lost('');
    this.engine = engine;
    this.session = new AbortController();
    void this.open(engine, this.session.signal);
  }

  lost(why: string): void {
    this.session.abort();
    this.engine = null;
    this.stream = null;
    if (why !== '') this.trouble = why;
    this.stopReading?.();
    this.stopReading = null;
    this.outbox.failed();
    this.wakeUp();
  }

  /** Opens the stream, again and again until it is open. */
  private async open({ stream }: Engine, signal: AbortSignal): Promise<void> {
    if (stream === undefined) {
      this.failed('the engine keeps no streams');
      return;
    }
    while (!signal.aborted) {
      try {
        const { differs } = await stream.open();
        if (signal.aborted) return;
        const { stream: name } = this.options;
        if (differs !== '') {
          const change = `change it with 'nats stream edit ${name}'`;
          this.options.tell('warn', `the stream ${name} was there already: ${differs}; ${change}`);
        }
        this.stream = stream;
        this.works();
        this.options.tell('info', `the stream ${name} is open`);
        this.outbox.retry();
        if (this.reader !== null) await this.read(stream, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.failed((error as Error).message);
        await this.wait(signal);
      }
    }
  }

  private works(): void {
    this.trouble = '';
    this.retryIn = FIRST_DELAY_MS;
  }

  private failed(why: string): void {
    if (why !== this.trouble) this.options.tell('warn', why);
    this.trouble = why;
  }

  private async wait(signal: AbortSignal): Promise<void> {
    await delay(jittered(this.retryIn), undefined, { signal }).catch(() => {});
    this.retryIn = Math.min(this.retryIn * 2, LAST_DELAY_MS);
  }

  /** Reads the stream, from the cursor on, until the session ends. */
  private async read(stream: EngineStream, signal: AbortSignal): Promise<void> {
    const { reader, bus } = this;
    if (reader === null) return;
    const isOver = (): boolean => signal.aborted || this.bus !== bus;
    try {
      const state = await stream.open();
      if (isOver()) return;
      const from = reader.open(state);
      this.stopReading = stream.read(
        from,
        (message) => this.take(reader, message),
        (why) => this.readAgain(stream, signal, isOver, why),
      );
    } catch (error) {
      this.readAgain(stream, signal, isOver, (error as Error).message);
    }
  }

  private readAgain(
    stream: EngineStream,
    signal: AbortSignal,
    isOver: () => boolean,
    why: string,
  ): void {
    if (isOver()) return;
    this.failed(`can't read the stream ${this.options.stream}: ${why}`);
    this.wait(signal).then(() => {
      if (!isOver()) void this.read(stream, signal);
    });
  }

  private take(reader: JournalReader, message: StoredMessage): void | Promise<void> {
    if (reader !== this.reader) return;
    reader.take(message);
    if (reader.backlog < MAX_BACKLOG) return;
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private storeMessage(bytes: Uint8Array, id: string): void {
    const { stream, options, session } = this;
    const { signal } = session;
    if (stream === null) return;
    stream.store(options.subject, bytes, id).then(
      (seq) => {
        if (signal.aborted) return;
        this.works();
        this.outbox.stored(seq);
        this.bus?.roomMade();
        this.noteIdle();
      },
      (error: Error) => {
        if (signal.aborted) return;
        this.failed(`the stream ${options.stream} does not take messages: ${error.message}`);
        this.outbox.failed();
        this.wait(signal).then(() => signal.aborted || this.outbox.retry());
      },
    );
  }

  /** Whether something is on its way to the stream, or to the bus. */
  private get isBusy(): boolean {
    return (!this.outbox.isEmpty && this.stream !== null) || this.reader?.isGiving === true;
  }

  private noteIdle(): void {
    if (!this.isBusy) this.idle?.();
  }

  /** Stores what waits, and gives the bus what it is being given; gives up after a while. */
  async finish(): Promise<void> {
    this.stopReading?.();
    this.stopReading = null;
    this.reader?.finish();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, STOP_TIMEOUT_MS);
      this.idle = () => {
        clearTimeout(timer);
        resolve();
      };
      this.noteIdle();
    });
    const { waitingCount } = this.outbox;
    if (waitingCount === 0) return;
    const { stream } = this.options;
    this.options.tell(
      'warn',
      `the stream ${stream} is not in reach: ${waitingCount} Announcements that it does not have are lost`,
    );
  }
}

function memoryStore(): CursorStore {
  let saved: Cursor | null = null;
  return {
    read: () => saved,
    write: (cursor) => {
      saved = cursor;
    },
    close: () => {},
  };
}
