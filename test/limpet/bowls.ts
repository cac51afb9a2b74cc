import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../harness/nats-server.mjs';
import type { Bus } from '../../src/bus/bus.ts';
import { type Connect, Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { Limpet, type LimpetEvent, type LinkOptions } from '../../src/limpet/limpet.ts';
import { wirePair } from '../../src/limpet/link/wire.ts';
import type { Message } from '../../src/message/message.ts';
import { FrameHost } from '../support/frame-host.ts';
import { MemoryEngine } from './engines.ts';

/** How two Limpets are joined in a test. */
export interface LinkKind {
  readonly name: string;
  readonly isClassic: boolean;
  /** The options of both ends. */
  ends(folder: string): Promise<readonly [server: LinkOptions, client: LinkOptions]>;
  /** The link is in memory. */
  readonly inMemory?: boolean;
  /** The Limpets are joined to their buses as to those of a daemon. */
  readonly overFrames?: boolean;
}

let count = 0;

const unix = (classic: boolean) => async (folder: string) => {
  const path = join(folder, `${++count}.sock`);
  return [
    { server: path, classic },
    { client: path, classic },
  ] as const;
};

const tcp = (classic: boolean) => async () => {
  const address = `127.0.0.1:${await freePort()}`;
  return [
    { server: address, classic },
    { client: address, classic },
  ] as const;
};

export const LINK_KINDS: readonly LinkKind[] = [
  {
    name: 'a native link in memory',
    isClassic: false,
    inMemory: true,
    // Nobody connects to these.
    ends: async (folder) => [
      { server: join(folder, `${++count}.sock`) },
      { server: join(folder, `${++count}.sock`) },
    ],
  },
  {
    name: 'a native link over a Unix socket, between buses of daemons',
    isClassic: false,
    overFrames: true,
    ends: unix(false),
  },
  { name: 'a native link over a Unix socket', isClassic: false, ends: unix(false) },
  { name: 'a native link over TCP', isClassic: false, ends: tcp(false) },
  {
    name: 'a federation',
    isClassic: false,
    ends: async () => {
      const engine = new MemoryEngine().connect;
      return [
        { engine, federation: 'plant' },
        { engine, federation: 'plant' },
      ];
    },
  },
  {
    name: 'a federation of mode stream',
    isClassic: false,
    ends: async () => {
      const engine = new MemoryEngine().connect;
      const end = { engine, federation: 'plant', mode: 'stream' } as const;
      return [end, end];
    },
  },
  { name: 'a classic link over a Unix socket', isClassic: true, ends: unix(true) },
  { name: 'a classic link over TCP', isClassic: true, ends: tcp(true) },
];

/** Buses of this process, and the Limpets that join them; all ends with the test. */
export class Bowls {
  readonly folder = mkdtempSync(join(tmpdir(), 'kbus-bowls-'));
  readonly limpets: Limpet[] = [];
  readonly events: LimpetEvent[] = [];
  private readonly ksocks: Ksock[] = [];
  private waiting: (() => void)[] = [];

  /** A Ksock of a bus, or over a transport. */
  async open(bus: Bus | Connect, options?: KsockOptions): Promise<Ksock> {
    const ksock = await Ksock.open(bus as Bus, options);
    this.ksocks.push(ksock);
    return ksock;
  }

  async limpet(
    id: number,
    bus: Bus | Connect,
    links: readonly LinkOptions[],
    more: Partial<ConstructorParameters<typeof Limpet>[0]> = {},
  ): Promise<Limpet> {
    const limpet = new Limpet({
      id,
      // A transport is for tests only.
      bus: bus as Bus,
      links,
      onEvent: (event) => {
        this.events.push(event);
        for (const wake of this.waiting.splice(0)) wake();
      },
      ...more,
    });
    this.limpets.push(limpet);
    await limpet.start();
    return limpet;
  }

  /** Joins two buses, with Limpets 2n-1 and 2n. */
  async join(
    one: Bus,
    other: Bus,
    kind: LinkKind,
    ids: readonly [number, number] = [1, 2],
  ): Promise<void> {
    const [server, client] = await kind.ends(this.folder);
    const reach = (bus: Bus): Bus | Connect =>
      kind.overFrames ? new FrameHost().connectTo(bus) : bus;
    const a = await this.limpet(ids[0], reach(one), [server]);
    const b = await this.limpet(ids[1], reach(other), [client]);
    if (kind.inMemory) {
      const [near, far] = wirePair();
      a.attach(near, 0, true);
      b.attach(far, 0, false);
    }
    await this.until(() => isJoined(a) && isJoined(b));
  }

  /** Waits until something holds; it is looked at again after each turn of the event loop. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Waits for an event whose text matches. */
  async event(text: RegExp): Promise<LimpetEvent> {
    for (;;) {
      const found = this.events.find((event) => text.test(event.text));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
      });
    }
  }

  /** Waits until a name has a Replier on the bus of this Ksock; the id of its Ksock. */
  async replier(ksock: Ksock, name: string): Promise<number> {
    let id: number | null = null;
    await this.until(async () => {
      id = await ksock.findReplier(name);
      return id !== null;
    });
    return id as unknown as number;
  }

  async end(): Promise<void> {
    await Promise.all(this.limpets.map((limpet) => limpet.stop()));
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function isJoined(limpet: Limpet): boolean {
  const { isSpeaker, links, paths } = limpet.report();
  if (links.some(({ state }) => state === 'classic')) return isSpeaker;
  // A bus hears of a stream what comes after it has begun to read.
  if (links.some(({ stream }) => stream !== undefined && stream.trouble !== '')) return false;
  return isSpeaker && paths.length > 0 && paths.every(({ isReady }) => isReady);
}

/** The next message that Limpets did not make for themselves. */
export async function next(ksock: Ksock): Promise<Message> {
  for (;;) {
    const message = await ksock.waitForMsg({ timeout: 20_000 });
    if (message === null) throw new Error('no message came');
    const { name } = message;
    if (name !== '$.KBUS.Limpet.Speaks' && name !== '$.KBUS.ReplierBindEvent') return message;
  }
}
