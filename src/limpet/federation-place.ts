import { createHash, randomInt } from 'node:crypto';
import type { ConnectEngine, Engine, EngineWants } from './federation/engine.ts';
import {
  Federation,
  type FederationMode,
  faultOfFederation,
  streamOf,
  streamSubject,
  wantsOf,
} from './federation/federation.ts';
import { Journal } from './federation/journal.ts';
import { LargeMessages } from './federation/large-messages.ts';
import type { Address } from './hub/address.ts';
import { EVERYTHING, Filter } from './hub/patterns.ts';
import type { LinkOptions } from './options.ts';
import { Place, type PlaceHost, type PlaceLife } from './place.ts';
import { outOfReach } from './stream-reach.ts';

/** Meets any number of others through an engine. */
export class FederationPlace extends Place {
  readonly kind = 'federation';
  /** That of the federation. */
  readonly name: string;
  override readonly federationNumber: number;
  override readonly journal: Journal | null;
  override readonly limit: LargeMessages | null;
  private readonly mode: FederationMode;
  private readonly id: number;
  private readonly connectEngine: ConnectEngine;
  private engine: Engine | null = null;
  private federation: Federation | null = null;
  /** What the engine does not allow, as far as it was told in this connection. */
  private readonly told = new Set<string>();

  constructor(
    id: number,
    number: number,
    options: LinkOptions,
    connectEngine: ConnectEngine,
    maxBytes: number,
    host: PlaceHost,
  ) {
    super(number, options, host);
    const { federation = '', mode = 'core', state, large = 'pieces' } = options;
    const fault = faultOfFederation(federation);
    if (fault !== '') throw new TypeError(fault);
    this.id = id;
    this.name = federation;
    this.federationNumber = createHash('sha256').update(federation).digest().readUIntBE(0, 6);
    this.connectEngine = connectEngine;
    this.mode = mode;
    const tell = (level: 'info' | 'warn', text: string): void =>
      host.tell(level, `link ${federation}: ${text}`);
    this.limit = large === 'pieces' ? null : new LargeMessages((text) => tell('warn', text));
    const { limit } = this;
    const stream = streamOf(federation);
    const subject = streamSubject(federation, id);
    const { out = [EVERYTHING], in: into = [EVERYTHING] } = options;
    const filters = { out: new Filter(out), into: new Filter(into) };
    this.journal =
      mode === 'core'
        ? null
        : new Journal({ id, stream, subject, state, maxBytes, limit, tell, ...filters });
  }

  private wants(): EngineWants {
    const { id, name, options } = this;
    const wants = wantsOf(name, id);
    if (this.mode === 'core') return wants;
    const { maxBytes, maxAge, discard, replicas } = options;
    const subject = streamSubject(name, '*');
    return {
      ...wants,
      stream: { name: streamOf(name), subject, maxBytes, maxAge, discard, replicas },
    };
  }

  async start(): Promise<void> {
    this.trouble = 'the engine is not in reach yet';
    this.journal?.check();
    this.connectEngine(
      this.wants(),
      {
        up: (engine) => {
          this.engine = engine;
          if (this.limit !== null) this.limit.bytes = engine.maxPayload;
          this.trouble = '';
          this.told.clear();
          this.host.tell('info', `link ${this.name}: the engine is in reach`);
          this.federation?.up(engine);
          this.journal?.up(engine);
        },
        lost: (why) => this.engineLost(why, false),
        received: (subject, bytes) => {
          this.federation?.received(subject, bytes);
          this.journal?.poke();
        },
        forbidden: (why) => this.forbidden(why),
      },
      this.host.stopping,
    ).catch((error: Error) => this.engineLost(error.message, true));
  }

  /** The engine says it for each message, and some twice. */
  private forbidden(why: string): void {
    if (this.told.has(why)) return;
    this.told.add(why);
    this.host.tell('error', `link ${this.name}: ${why}`);
  }

  private engineLost(why: string, isFinal: boolean): void {
    const isNews = this.trouble !== why;
    this.engine = null;
    this.trouble = why;
    this.federation?.lost(why);
    this.journal?.lost(why);
    if (isNews && !this.host.stopping.aborted) super.lost(why, isFinal);
  }

  begin(): void {
    const { host, id, mode } = this;
    if (host.self === null) return;
    const { address, bus } = host.self;
    this.federation = new Federation(
      { name: this.name, id, life: address.life, bus, mode },
      {
        token: () => randomInt(1, 2 ** 32),
        open: (wire, isServer) => host.connect(this, this.greeting(isServer), () => wire),
        warn: (text) => host.tell('warn', text),
      },
    );
    this.beginJournal(this.federation, host.self);
    if (this.engine !== null) this.federation.up(this.engine);
  }

  private beginJournal(federation: Federation, { hub, flushed }: PlaceLife): void {
    this.journal?.begin({
      deliver: (message) => hub.announced(message),
      missed: (count, id) => hub.tellMissed(count, id),
      flushed,
      pass: (link, frame) => hub.received(link, frame),
      fail: (link, why) => this.host.fail(link, why),
      marks: () => federation.marks(),
      hasCome: (mark, from) => federation.hasCome(mark, from),
      settledSince: (before) => hub.streams.settledSince(before),
      roomMade: () => hub.flush(),
    });
    if (hub.isOnBus) this.journal?.speaks();
  }

  override tick(): void {
    this.federation?.tick();
    this.journal?.tick();
    const { hub } = this.host.self ?? {};
    if (hub !== undefined) this.journal?.reaches(outOfReach(hub, this.federationNumber));
  }

  override async finish(): Promise<void> {
    await this.journal?.finish();
  }

  override joined(peer: Address | null): void {
    super.joined(peer);
    if (peer !== null) this.federation?.agreed(peer);
  }

  override lost(why: string): void {
    // One of many: the place is as good as before. The engine's own troubles are told once.
    if (this.engine !== null) super.lost(why, false);
  }

  pause(why: string): void {
    this.federation?.leave(why);
    this.federation = null;
    this.journal?.pause();
  }

  async stop(): Promise<void> {
    this.pause('the Limpet stops');
    this.journal?.lost('the Limpet stops');
    await this.engine?.close();
  }
}
