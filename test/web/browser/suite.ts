// The conformance suite in a page. The test beside it bundles this file, with the runner in place of vitest.

import { printBindings, printStats } from '../../../src/bus/report.ts';
import { Ksock as WebKsock } from '../../../src/client/browser.ts';
import type { Ksock } from '../../../src/client/ksock.ts';
import type { Mode } from '../../../src/message/calls.ts';
import { modern } from '../../conformance/modern.ts';
import { original } from '../../conformance/original.ts';
import type { Place, Transport } from '../../conformance/transport.ts';
import { runAll } from './runner.ts';

/** What the test in Node does for the page. */
interface Helper {
  /** Starts a daemon; gives its address, and its token. */
  kbusStart(settings: object): Promise<{ url: string; token: string }>;
  kbusStop(url: string): Promise<void>;
}

const helper = globalThis as unknown as Helper;

// The suite compares bytes by it. The client must not use it: the tests of its bundle show that.
Object.assign(globalThis, {
  Buffer: class extends Uint8Array {
    static override from(bytes: never): never {
      return new this(Uint8Array.from(bytes)) as never;
    }

    equals(other: Uint8Array): boolean {
      return this.length === other.length && this.every((byte, at) => byte === other[at]);
    }

    override toString(): string {
      return String.fromCharCode(...this);
    }
  },
});

class PagePlace implements Place<Ksock> {
  readonly bus = null;
  private readonly url: string;
  private readonly token: string;
  private readonly ksocks: Ksock[] = [];

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  async open(mode: Mode = 'rw', bus = 0): Promise<Ksock> {
    const { token, url } = this;
    // Both have the same calls; for the compiler, each has private members of its own.
    const ksock = (await WebKsock.open(bus, { mode, token, url })) as unknown as Ksock;
    this.ksocks.push(ksock);
    return ksock;
  }

  private get anyKsock(): Ksock {
    const found = this.ksocks.find((ksock) => ksock.number === 0 && ksock.isConnected);
    if (found === undefined) throw new Error('no Ksock of bus 0 is open');
    return found;
  }

  async bindings(): Promise<string> {
    return printBindings(0, await this.anyKsock.readBindings());
  }

  async stats(): Promise<string> {
    return printStats(await this.anyKsock.stats());
  }

  async close(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    await helper.kbusStop(this.url);
  }
}

const inPage: Transport<Ksock> = {
  name: 'in a page',
  hasPids: false,
  place: async (settings = {}) => {
    const { url, token } = await helper.kbusStart(settings);
    return new PagePlace(url, token);
  },
};

original(inPage);
modern(inPage);
Object.assign(globalThis, { runAll });
