import { expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { BusObserver } from '../../src/bus/observer.ts';
import { Program } from './program.ts';

/** An observer that records the names of all events. */
function recorder(): { observer: BusObserver; events: string[] } {
  const events: string[] = [];
  const observer = new Proxy<BusObserver>(
    {},
    { get: (_, name) => (): unknown => events.push(String(name)) },
  );
  return { observer, events };
}

function play(bus: Bus): void {
  const [requester, replier] = [new Program(bus), new Program(bus)];
  replier.ksock.bind('$.Ask', true);
  replier.ksock.bind('$.Ask', true);
  requester.ksock.maxMessages(1);
  requester.ksock.discard();
  requester.ksock.forget(7);
  requester.ksock.close();
  replier.ksock.unbind('$.Ask', true);
  replier.ksock.close();
}

it('Several observers of a bus get the same events in the same order, until each stops watching.', () => {
  const bus = new Bus();
  const [first, second] = [recorder(), recorder()];
  const partial: string[] = [];
  bus.watch(first.observer);
  const stop = bus.watch(second.observer);
  bus.watch({ closed: ({ id }) => partial.push(`closed ${id}`) });
  play(bus);
  expect(first.events).toEqual([
    'opened',
    'set',
    'opened',
    'set',
    'bound',
    'bindRefused',
    'set',
    'discarded',
    'forgotten',
    'closed',
    'unbound',
    'closed',
  ]);
  expect(second.events).toEqual(first.events);
  expect(partial).toEqual(['closed 1', 'closed 2']);
  stop();
  play(bus);
  expect(second.events).toHaveLength(12);
  expect(first.events).toHaveLength(24);
});
