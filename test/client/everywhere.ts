import { beforeEach, describe } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { staged } from '../conformance/original.ts';
import type { Stage } from '../conformance/transport.ts';
import { inFrames, inProcess, unixSocket } from '../conformance/transports.ts';

/** The Ksocks that the test has opened. */
let ksocks: Ksock[] = [];

/** The same tests for a Ksock, whichever way it is connected to its bus. */
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
 * Resolves when all that the test has begun has taken effect, at the bus and at every Ksock: a call of each Ksock is
 * answered behind everything that came before it. The first call brings to the bus what a Ksock has sent; the second
 * brings to the Ksocks what came of that; then the promises that wait for it go on.
 */
export async function settled(): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await Promise.all(ksocks.map((ksock) => ksock.numMessages().catch(() => {})));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
