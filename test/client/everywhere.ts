import { beforeEach, describe } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { staged } from '../conformance/original.ts';
import type { Stage } from '../conformance/transport.ts';
import { inFrames, inProcess, unixSocket } from '../conformance/transports.ts';

/** The Ksocks of the test. */
let ksocks: Ksock[] = [];

/** Runs the same tests for a Ksock over each transport. */
export function everywhere(what: string, tests: (stage: Stage<Ksock>) => void): void {
  for (const transport of [inProcess, inFrames, unixSocket]) {
    describe(`${what}, ${transport.name}`, () => {
      beforeEach(() => {
        ksocks = [];
      });
      const stage = staged(transport);
      tests({
        transport,
        get place() {
          return stage.place;
        },
        async open(...where) {
          const ksock = await stage.open(...where);
          ksocks.push(ksock);
          return ksock;
        },
      });
    });
  }
}

/**
 * Resolves when all calls of the test have taken effect, at the bus and at every Ksock. The bus answers a call of a Ksock
 * after everything before it: so the first call flushes the Ksock's sends, the second fetches their effects, and then the
 * promises that wait for these settle.
 */
export async function settled(): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await Promise.all(ksocks.map((ksock) => ksock.numMessages().catch(() => {})));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
