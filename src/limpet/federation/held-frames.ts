import type { Address } from '../hub/address.ts';
import type { Frame } from '../hub/frame.ts';
import type { Link } from '../hub/link.ts';
import { PATIENCE } from './journal-reader.ts';

export interface HeldFramesHost {
  pass(link: Link, frame: Frame): void;
  /** Frames that were held back have been passed. */
  flush(): void;
  /** How far the bus was given the Announcements of a Limpet, and the stream. */
  lastOf(key: string): number;
  readonly seq: number;
  /** So many Announcements of a Limpet are over, whether they have come or not. */
  settle(origin: Address, number: number): void;
  /** Ends a link that waits in vain. */
  fail(link: Link, why: string): void;
}

/** The frames of one link that wait for Announcements of its peer. */
interface Held {
  readonly frames: Frame[];
  /** The last `announced` that was told. */
  due: number;
  stored: number;
  seq: number;
  ticks: number;
}

/**
 * What a peer sends directly, in a federation of mode `stream`, after Announcements that the stream has not brought yet: it waits for
 * them, so that the bus hears each sender in its order.
 */
export class HeldFrames {
  private readonly host: HeldFramesHost;
  private readonly links = new Map<Link, Held>();
  private count = 0;
  private lastSeq = 0;

  constructor(host: HeldFramesHost) {
    this.host = host;
  }

  received(link: Link, frame: Frame): void {
    const held = this.links.get(link);
    if (frame.kind === 'after') {
      this.told(link, held, frame);
      return;
    }
    if (held === undefined || held.frames.length === 0) this.host.pass(link, frame);
    else {
      held.frames.push(frame);
      this.count++;
    }
  }

  private told(
    link: Link,
    known: Held | undefined,
    frame: Extract<Frame, { kind: 'after' }>,
  ): void {
    const held = known ?? { frames: [], due: 0, stored: 0, seq: 0, ticks: 0 };
    if (known === undefined) this.links.set(link, held);
    held.stored = frame.stored;
    held.seq = frame.seq;
    if (frame.announced > held.due) {
      held.due = frame.announced;
      held.frames.push(frame);
      this.count++;
    }
    this.release(link, held);
  }

  /** The bus was given more Announcements. */
  moved(): void {
    if (this.count === 0) return;
    for (const [link, held] of this.links) if (held.frames.length > 0) this.release(link, held);
    this.host.flush();
  }

  private release(link: Link, held: Held): void {
    const { frames } = held;
    while (frames.length > 0) {
      const frame = frames[0] as Frame;
      if (frame.kind === 'after' && !this.hasCome(link, held, frame.announced)) return;
      frames.shift();
      this.count--;
      held.ticks = 0;
      if (frame.kind !== 'after') this.host.pass(link, frame);
    }
  }

  private hasCome({ key, peer }: Link, { stored, seq }: Held, announced: number): boolean {
    const { host } = this;
    if (host.lastOf(key) >= announced) return true;
    if (stored < announced || host.seq < seq) return false;
    host.settle(peer, announced);
    return true;
  }

  linkDown(link: Link): void {
    const held = this.links.get(link);
    if (held === undefined) return;
    this.count -= held.frames.length;
    this.links.delete(link);
  }

  /** A second has passed. */
  tick(): void {
    const { seq } = this.host;
    const hasMoved = seq !== this.lastSeq;
    this.lastSeq = seq;
    for (const [link, held] of [...this.links]) {
      if (held.frames.length === 0) continue;
      held.ticks = hasMoved ? 0 : held.ticks + 1;
      if (held.ticks <= PATIENCE) continue;
      this.host.fail(
        link,
        `the stream has not brought for ${PATIENCE} seconds what Limpet ${link.peer.id} announced`,
      );
    }
  }
}
