import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const file = fileURLToPath(new URL('../../bench/growth-point.mjs', import.meta.url));

const loads = {
  'bindings and idle Ksocks': { bindings: 1000, idle: 100 },
  'many names heard by one wildcard': { names: 1000, wildcard: true },
  'long names, each listened to by several': { levels: 100, names: 3, listeners: 3 },
  'large data': { size: 16 * 1024 * 1024 },
};

for (const where of ['engine', 'socket']) {
  for (const [title, varied] of Object.entries(loads)) {
    const usual = { bindings: 10, idle: 0, levels: 2, names: 1, wildcard: false, size: 64 };
    const load = { ...usual, listeners: 1, ...varied };
    test(`${title}: each kind of message is measured (${where})`, { timeout: 60_000 }, async () => {
      const point = fork(file, [where, JSON.stringify(load)], { execArgv: [] });
      const [{ ready, failed }] = await once(point, 'message');
      expect(failed).toBe(undefined);
      for (const measure of ['announce', 'ask']) {
        point.send({ measure, seconds: 0.02 });
        const [message] = await once(point, 'message');
        expect(message).toEqual({ cost: expect.any(Number) });
        expect(message.cost).toBeGreaterThan(0);
      }
      const ended = once(point, 'exit');
      point.disconnect();
      expect(await ended).toEqual([0, null]);
      if (where === 'engine') expect(ready).toBe(0);
      else expect(() => process.kill(ready, 0)).toThrow('ESRCH');
    });
  }
}
