import { Session } from 'node:inspector/promises';

/** Coverage is read after this many inputs: reading takes far longer than running an input. */
export const BATCH = 64;

/** A block of code, as V8 counts it. */
interface Counted {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

/**
 * Finds the inputs that reach new code, by V8's coverage. The decoders must run
 * alone in the process.
 */
export class Growth {
  private readonly inspector = new Session();
  /** The characters of each script that have run, by script id. */
  private readonly ran = new Map<string, Uint8Array>();
  private readonly urls = new Map<string, string>();
  private batch: { bytes: Uint8Array; again(): unknown }[] = [];

  async start(): Promise<void> {
    this.inspector.connect();
    await this.inspector.post('Profiler.enable');
    await this.inspector.post('Debugger.enable');
    const options = { callCount: true, detailed: true };
    await this.inspector.post('Profiler.startPreciseCoverage', options);
  }

  /** Notes an input that was run; gives the noted inputs that reached new code. */
  async note(bytes: Uint8Array, again: () => unknown): Promise<Uint8Array[]> {
    this.batch.push({ bytes, again });
    if (this.batch.length < BATCH) return [];
    const { batch } = this;
    this.batch = [];
    const before = new Map([...this.ran].map(([id, one]) => [id, one.slice()]));
    if (!(await this.look())) return [];
    // Run them again, one by one, from the same state.
    this.ran.clear();
    for (const [id, one] of before) this.ran.set(id, one);
    const found: Uint8Array[] = [];
    for (const { bytes, again } of batch) {
      await again();
      if (await this.look()) found.push(bytes);
    }
    return found;
  }

  /** Whether new code ran since the last call. */
  private async look(): Promise<boolean> {
    const { result } = await this.inspector.post('Profiler.takePreciseCoverage');
    let isNew = false;
    for (const { scriptId, url, functions } of result) {
      if (!/\/src\/[a-z]+\//.test(url)) continue;
      this.urls.set(scriptId, url);
      const length = Math.max(...functions.map(({ ranges }) => ranges[0]?.endOffset ?? 0));
      const ran = this.ran.get(scriptId) ?? new Uint8Array(length);
      this.ran.set(scriptId, ran);
      const now = new Uint8Array(length);
      // Outer blocks come first; inner blocks override them.
      for (const { ranges } of functions) for (const range of ranges) mark(now, range);
      for (let at = 0; at < length; at++) {
        if (now[at] === 1 && ran[at] === 0) {
          ran[at] = 1;
          isNew = true;
        }
      }
    }
    return isNew;
  }

  /** The code that never ran, in the scripts that match the pattern. */
  async neverRan(pattern: RegExp): Promise<string> {
    let text = '';
    for (const [scriptId, ran] of this.ran) {
      const url = this.urls.get(scriptId) as string;
      if (!pattern.test(url)) continue;
      const { scriptSource } = await this.inspector.post('Debugger.getScriptSource', { scriptId });
      text += `${url}\n`;
      for (let from = ran.indexOf(0); from >= 0; ) {
        const to = ran.indexOf(1, from);
        const piece = scriptSource
          .slice(from, to < 0 ? ran.length : to)
          .replaceAll(/\/\*.*?\*\/|\/\/.*/gs, '');
        // Skip the code that the module transform adds.
        if (/\w/.test(piece) && !/__vite_ssr_e|^catch \{\}/.test(piece))
          text += `    ${piece.trim().replaceAll(/\s+/g, ' ').slice(0, 200)}\n`;
        from = to < 0 ? -1 : ran.indexOf(0, to);
      }
    }
    return text;
  }

  stop(): void {
    this.inspector.disconnect();
  }
}

function mark(ran: Uint8Array, { startOffset, endOffset, count }: Counted): void {
  ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
}
