import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, natsProgram, startNats } from '../../harness/nats-server.mjs';
import type {
  ConnectEngine,
  Engine,
  EngineEvents,
  EngineStream,
  StoredMessage,
} from '../../src/limpet/federation/engine.ts';

interface Client {
  readonly subjects: readonly string[];
  readonly events: EngineEvents;
  readonly engine: Engine;
}

/**
 * An engine in the test's process. It carries each message in a turn of its own, unless `lose` says that it is lost; and it
 * can be stopped and started.
 */
export class MemoryEngine {
  maxPayload = 1024 * 1024;
  lose: (subject: string, bytes: Uint8Array) => boolean = () => false;
  /** Every message that was published. */
  readonly published: { readonly subject: string; readonly length: number }[] = [];
  private readonly clients = new Set<Client>();
  private isUp = true;
  /** Its stream takes nothing before this. */
  gate: Promise<void> = Promise.resolve();
  /** What its stream keeps. */
  readonly stored: StoredMessage[] = [];
  /** It keeps nothing before this number any more. */
  first = 1;
  private readonly ids = new Map<string, number>();
  private readonly readers = new Set<() => void>();

  readonly connect: ConnectEngine = async ({ subjects, stream: wantsStream }, events, signal) => {
    const memory = this;
    const engine: Engine = {
      get maxPayload() {
        return memory.maxPayload;
      },
      publish: (subject, bytes) => memory.publish(client, subject, bytes),
      close: async () => {
        memory.clients.delete(client);
      },
      stream: wantsStream === undefined ? undefined : memory.stream(),
    };
    const client = { subjects, events, engine };
    this.clients.add(client);
    signal.addEventListener('abort', () => this.clients.delete(client));
    if (this.isUp) setImmediate(() => events.up(engine));
    else events.lost('the engine is stopped');
  };

  private publish(from: Client, subject: string, bytes: Uint8Array): void {
    if (bytes.length > this.maxPayload) throw new Error(`${bytes.length} bytes are too many`);
    this.published.push({ subject, length: bytes.length });
    if (!this.isUp || this.lose(subject, bytes)) return;
    setImmediate(() => {
      if (!this.isUp) return;
      for (const client of [...this.clients]) {
        if (client === from || !client.subjects.some((each) => isFor(each, subject))) continue;
        client.events.received(subject, this.placed(bytes));
      }
    });
  }

  /** A copy that begins at any place in memory, as what a socket brings does. */
  private placed(bytes: Uint8Array): Uint8Array {
    const at = this.published.length % 8;
    const copy = new Uint8Array(at + bytes.length).subarray(at);
    copy.set(bytes);
    return copy;
  }

  private stream(): EngineStream {
    return {
      open: async () => {
        if (!this.isUp) throw new Error('the engine is stopped');
        return { created: 'today', first: this.first, last: this.stored.length, differs: '' };
      },
      store: async (subject, bytes, id) => {
        await new Promise((resolve) => setImmediate(resolve));
        await this.gate;
        if (!this.isUp) throw new Error('the engine is stopped');
        const known = this.ids.get(id);
        if (known !== undefined) return known;
        const seq = this.stored.push({ seq: this.stored.length + 1, subject, bytes });
        this.ids.set(id, seq);
        for (const wake of this.readers) wake();
        return seq;
      },
      read: (from, take) => {
        let next = Math.max(from, this.first);
        let isBusy = false;
        const wake = async (): Promise<void> => {
          if (isBusy) return;
          isBusy = true;
          while (next <= this.stored.length && this.readers.has(wake)) {
            await new Promise((resolve) => setImmediate(resolve));
            if (this.readers.has(wake)) await take(this.stored[next++ - 1] as StoredMessage);
          }
          isBusy = false;
        };
        this.readers.add(wake);
        void wake();
        return () => this.readers.delete(wake);
      },
    };
  }

  stop(): void {
    this.isUp = false;
    this.readers.clear();
    for (const { events } of [...this.clients]) events.lost('the engine is stopped');
  }

  start(): void {
    this.isUp = true;
    for (const { engine, events } of [...this.clients]) events.up(engine);
  }
}

/** Whether a subscription, with `*` for a word, is for a subject. */
function isFor(subscription: string, subject: string): boolean {
  const words = subject.split('.');
  const wanted = subscription.split('.');
  return (
    wanted.length === words.length && wanted.every((word, at) => word === '*' || word === words[at])
  );
}

export const HAS_NATS = natsProgram() !== undefined;

/** In the title of tests that need the server, so that a skipped one says why. */
export const NATS_SERVER = HAS_NATS ? 'nats-server' : 'nats-server (SKIPPED: it is not installed)';

/** A NATS server of the test's own. */
export class NatsServer {
  readonly url: string;
  private readonly port: number;
  private readonly folder = mkdtempSync(join(tmpdir(), 'kbus-nats-'));
  private process: ChildProcess | null = null;

  private constructor(port: number) {
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
  }

  static async start(config = ''): Promise<NatsServer> {
    const server = new NatsServer(await freePort());
    await server.start(config);
    return server;
  }

  /** A part of a configuration: the server keeps streams. */
  get jetStream(): string {
    return `jetstream { store_dir: "${this.folder}" }\n`;
  }

  async start(config = ''): Promise<void> {
    const file = join(this.folder, 'nats.conf');
    writeFileSync(file, config);
    this.process = await startNats(this.port, '-c', file);
  }

  async kill(): Promise<void> {
    const { process } = this;
    this.process = null;
    if (process === null || process.exitCode !== null) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
