import type { Journal } from './federation/journal.ts';
import type { Address } from './hub/address.ts';
import type { Hub } from './hub/hub.ts';
import type { Link } from './hub/link.ts';
import { EVERYTHING } from './hub/patterns.ts';
import type { SizeLimit } from './hub/size-limit.ts';
import type { Connection, Greeting } from './link/connection.ts';
import type { Wire } from './link/wire.ts';
import type { LimpetEvent, LinkOptions } from './options.ts';

/** The Limpet in one life on its bus. */
export interface PlaceLife {
  readonly address: Address;
  readonly bus: string;
  readonly hub: Hub;
  /** Resolves when the bus has all that it was given. */
  flushed(): Promise<void>;
}

/** What a place needs of its Limpet. */
export interface PlaceHost {
  /** Who the Limpet is; null while it is not on its bus. */
  readonly self: PlaceLife | null;
  /** Aborted when the Limpet stops. */
  readonly stopping: AbortSignal;
  /** A connection over a wire of this place. */
  connect(place: Place, greeting: Greeting, wire: (connection: Connection) => Wire): Connection;
  isConnected(place: Place): boolean;
  /** Ends the connection of a link. */
  fail(link: Link, why: string): void;
  tell(level: LimpetEvent['level'], text: string, isFinal?: boolean): void;
}

/** Where a Limpet meets others, as one link of its configuration says. */
export abstract class Place {
  readonly number: number;
  readonly options: LinkOptions;
  abstract readonly kind: 'server' | 'client' | 'federation';
  /** The address, in words. */
  abstract readonly name: string;
  /** While nobody is joined here: why, if anything is known. */
  trouble = '';
  protected readonly host: PlaceHost;

  constructor(number: number, options: LinkOptions, host: PlaceHost) {
    this.number = number;
    this.options = options;
    this.host = host;
  }

  /** Begins to listen, if others come here. Rejects if it can't. */
  abstract start(): Promise<void>;
  /** The Limpet is on its bus, for the first time or again. */
  abstract begin(): void;
  /** It has left its bus: all connections are closed already. */
  abstract pause(why: string): void;
  abstract stop(): Promise<void>;

  tick(): void {}

  /** What its links refuse to carry. */
  readonly limit: SizeLimit | null = null;

  /** Of a federation of mode `stream`. */
  readonly journal: Journal | null = null;

  /** The Limpet is about to stop: ends what it is at, but not for long. */
  async finish(): Promise<void> {}

  /** A Limpet has been joined here; null: a classic one. */
  joined(_peer: Address | null): void {
    this.trouble = '';
  }

  /** A connection is lost; `isFinal`: the next one would be as well. */
  lost(why: string, isFinal: boolean): void {
    this.host.tell(isFinal ? 'error' : 'warn', `link ${this.name}: ${why}`, isFinal);
  }

  /** The number of the federation; 0: it is none. */
  readonly federationNumber: number = 0;

  greeting(isServer: boolean): Greeting {
    const { number, options, federationNumber: federation } = this;
    const { classic: isClassic = false, out = [EVERYTHING], in: into = [EVERYTHING] } = options;
    const { limit } = this;
    return { isServer, isClassic, isSibling: false, number, federation, out, in: into, limit };
  }
}
