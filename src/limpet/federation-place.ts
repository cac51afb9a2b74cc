import { createHash, randomInt } from 'node:crypto';
import type { ConnectEngine, Engine } from './federation/engine.ts';
import { Federation, faultOfFederation, subjectsOf } from './federation/federation.ts';
import type { LinkOptions } from './options.ts';
import { Place, type PlaceHost } from './place.ts';

/** Meets any number of others through an engine. */
export class FederationPlace extends Place {
  readonly kind = 'federation';
  /** That of the federation. */
  readonly name: string;
  override readonly federationNumber: number;
  private readonly id: number;
  private readonly connectEngine: ConnectEngine;
  private engine: Engine | null = null;
  private federation: Federation | null = null;

  constructor(
    id: number,
    number: number,
    options: LinkOptions,
    connectEngine: ConnectEngine,
    host: PlaceHost,
  ) {
    super(number, options, host);
    const { federation = '' } = options;
    const fault = faultOfFederation(federation);
    if (fault !== '') throw new TypeError(fault);
    this.id = id;
    this.name = federation;
    this.federationNumber = createHash('sha256').update(federation).digest().readUIntBE(0, 6);
    this.connectEngine = connectEngine;
  }

  async start(): Promise<void> {
    this.trouble = 'the engine is not in reach yet';
    this.connectEngine(
      subjectsOf(this.name, this.id),
      {
        up: (engine) => {
          this.engine = engine;
          this.trouble = '';
          this.host.tell('info', `link ${this.name}: the engine is in reach`);
          this.federation?.up(engine);
        },
        lost: (why) => this.engineLost(why, false),
        received: (subject, bytes) => this.federation?.received(subject, bytes),
        forbidden: (why) => this.host.tell('error', `link ${this.name}: ${why}`),
      },
      this.host.stopping,
    ).catch((error: Error) => this.engineLost(error.message, true));
  }

  private engineLost(why: string, isFinal: boolean): void {
    const isNews = this.trouble !== why;
    this.engine = null;
    this.trouble = why;
    this.federation?.lost(why);
    if (isNews && !this.host.stopping.aborted) super.lost(why, isFinal);
  }

  begin(): void {
    const { host, id } = this;
    if (host.self === null) return;
    const { address, bus } = host.self;
    this.federation = new Federation(
      { name: this.name, id, life: address.life, bus },
      {
        token: () => randomInt(1, 2 ** 32),
        open: (wire, isServer) => host.connect(this, this.greeting(isServer), () => wire),
        warn: (text) => host.tell('warn', text),
      },
    );
    if (this.engine !== null) this.federation.up(this.engine);
  }

  override tick(): void {
    this.federation?.tick();
  }

  override joined(peer: number): void {
    super.joined(peer);
    this.federation?.agreed(peer);
  }

  override lost(why: string): void {
    // One of many: the place is as good as before. The engine's own troubles are told once.
    if (this.engine !== null) super.lost(why, false);
  }

  pause(why: string): void {
    this.federation?.leave(why);
    this.federation = null;
  }

  async stop(): Promise<void> {
    this.pause('the Limpet stops');
    await this.engine?.close();
  }
}
