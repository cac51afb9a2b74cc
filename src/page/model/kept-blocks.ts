import type { History } from './history.ts';

/** After so many bytes of events, the daemon is asked for the state of the bus again. */
const PART_BYTES = 4 * 1024 * 1024;

/** At most so many bytes are kept. */
const MAX_BYTES = 96 * 1024 * 1024;

/** Blocks of events, of which the first begins with the state of the bus. */
interface Part {
  readonly blocks: Uint8Array[];
  /** The first message of the history that is in it, or in a later part. */
  readonly first: number;
  bytes: number;
}

/** What the tap told, as it told it, as far back as the history goes: to save it as a recording. */
export class KeptBlocks {
  private readonly history: History;
  private parts: Part[] = [];
  private bytes = 0;
  private isAsked = false;

  constructor(history: History) {
    this.history = history;
  }

  /**
   * Keeps a block, before its events come to the history. `begins`: the state of the bus begins in it. True if the daemon
   * should tell that state again.
   */
  add(block: Uint8Array, begins: boolean): boolean {
    if (begins) {
      this.parts.push({ blocks: [], bytes: 0, first: this.history.end });
      this.isAsked = false;
      this.forget();
    }
    const part = this.parts.at(-1);
    if (part === undefined) return false;
    part.blocks.push(block);
    part.bytes += block.length;
    this.bytes += block.length;
    if (this.isAsked || part.bytes < PART_BYTES) return false;
    this.isAsked = true;
    return true;
  }

  private forget(): void {
    while (this.parts.length > 1) {
      const [oldest, next] = this.parts as [Part, Part];
      if (next.first > this.history.first && this.bytes <= MAX_BYTES) return;
      this.parts.shift();
      this.bytes -= oldest.bytes;
    }
  }

  /** All blocks, from the state of the bus on. */
  get all(): Uint8Array[] {
    return this.parts.flatMap(({ blocks }) => blocks);
  }
}
