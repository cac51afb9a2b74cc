import { describe } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { staged } from '../conformance/original.ts';
import type { Stage } from '../conformance/transport.ts';
import { inFrames, inProcess, unixSocket } from '../conformance/transports.ts';

/** The same tests for a Ksock, whichever way it is connected to its bus. */
export function everywhere(what: string, tests: (stage: Stage<Ksock>) => void): void {
  for (const transport of [inProcess, inFrames, unixSocket]) {
    describe(`${what}, ${transport.name}`, () => tests(staged(transport)));
  }
}

/** All that promises and timers of no time at all bring about. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
