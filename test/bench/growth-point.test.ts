import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Order, Said } from '../../bench/growth-point.mjs';
import { type Load, usual } from '../../bench/load.mjs';

const file = fileURLToPath(new URL('../../bench/growth-point.mjs', import.meta.url));

const loads: Record<string, Partial<Load>> = {
  'bindings and idle Ksocks': { bindings: 1000, idle: 100 },
  'many names heard by one wildcard': { names: 1000, wildcard: true },
  'long names, each listened to by several': { levels: 100, names: 3, listeners: 3 },
  'large data': { size: 16 * 1024 * 1024 },
};

for (const where of ['engine', 'socket']) {
  for (const [title, varied] of Object.entries(loads)) {
    const load = JSON.stringify({ ...usual, ...varied });
    test(`${title}: each kind of message is measured (${where})`, { timeout: 60_000 }, async () => {
      const point = fork(file, [where, load], { execArgv: [] });
      const said = async (order?: Order): Promise<Said> => {
        if (order !== undefined) point.send(order);
        const [message] = await once(point, 'message');
        return message;
      };
      const ready = await said();
      const daemon = 'ready' in ready ? ready.ready : expect.fail(JSON.stringify(ready));
      // A measurement must leave no state that stops the next one.
      for (const measure of ['announce', 'ask', 'announce', 'ask'] as const) {
        const message = await said({ measure, seconds: 0.02 });
        const cost = 'cost' in message ? message.cost : expect.fail(JSON.stringify(message));
        expect(cost).toBeGreaterThan(0);
      }
      const ended = once(point, 'exit');
      point.disconnect();
      expect(await ended).toEqual([0, null]);
      if (where === 'engine') expect(daemon).toBe(0);
      else expect(() => process.kill(daemon, 0)).toThrow('ESRCH');
    });
  }
}
