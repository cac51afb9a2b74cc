// The conformance suite in a page. The test beside it bundles this file, with the runner in place of vitest.

import { Ksock as WebKsock } from '../../../src/client/browser.ts';
import type { Ksock } from '../../../src/client/ksock.ts';
import { KsockPlace } from '../../conformance/ksock-place.ts';
import { modern } from '../../conformance/modern.ts';
import { original } from '../../conformance/original.ts';
import type { Transport } from '../../conformance/transport.ts';
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

const inPage: Transport<Ksock> = {
  name: 'in a page',
  hasPids: false,
  place: async (settings = {}) => {
    const { url, token } = await helper.kbusStart(settings);
    return new KsockPlace(
      null,
      // Both have the same calls; for the compiler, each has private members of its own.
      async (mode, bus) => (await WebKsock.open(bus, { mode, token, url })) as unknown as Ksock,
      () => helper.kbusStop(url),
    );
  },
};

original(inPage);
modern(inPage);
Object.assign(globalThis, { runAll });
