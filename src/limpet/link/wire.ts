/** A connection to another Limpet, as a stream of bytes. */
export interface Wire {
  /** Writes a frame, or a part of a stream of bytes, that lies in several pieces. They must not change any more. */
  write(...pieces: Uint8Array[]): void;
  /** Bytes that were written and have not left yet. */
  readonly backlog: number;
  /** Stops reading, and goes on. */
  pause(): void;
  resume(): void;
  /** Closes it when all is written. */
  end(): void;
  /** Closes it at once. */
  destroy(): void;
}

export interface WireEvents {
  received(bytes: Uint8Array): void;
  /** The backlog is gone. */
  drained(): void;
  /** It has closed; `why` is '' if nobody knows. No further event follows. */
  closed(why: string): void;
}

/** Two wires, each the other's end: what is written at one is received at the other. Each event has a turn of its own. */
export function wirePair(): [MemoryWire, MemoryWire] {
  const one = new MemoryWire();
  const other = new MemoryWire();
  one.far = other;
  other.far = one;
  return [one, other];
}

/** An end of a wire in memory. */
export class MemoryWire implements Wire {
  far: MemoryWire | null = null;
  events: WireEvents | null = null;
  backlog = 0;
  private early: Uint8Array[] = [];
  private isClosed = false;

  /** Who is told what comes; first what has come already. */
  attach(events: WireEvents): void {
    this.events = events;
    const { early } = this;
    this.early = [];
    for (const bytes of early) events.received(bytes);
  }

  write(...pieces: Uint8Array[]): void {
    if (this.isClosed) return;
    const copy = Buffer.concat(pieces);
    this.backlog += copy.length;
    setImmediate(() => {
      this.backlog -= copy.length;
      const { far } = this;
      if (far === null || far.isClosed || this.isClosed) return;
      if (far.events === null) far.early.push(copy);
      else far.events.received(copy);
      if (this.backlog === 0) this.events?.drained();
    });
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    setImmediate(() => this.destroy());
  }

  destroy(): void {
    for (const end of [this, this.far]) {
      if (end === null || end.isClosed) continue;
      end.isClosed = true;
      setImmediate(() => end.events?.closed(''));
    }
  }
}
