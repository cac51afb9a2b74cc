import { describe, expect, it } from 'vitest';
import { matrixOf, neighboursOf } from '../../src/page/model/matrix.ts';
import { treeOf } from '../../src/page/model/name-tree.ts';
import { RateLine, SECONDS } from '../../src/page/model/rate-line.ts';
import { Inspected } from './inspected.ts';

const SECOND = 1_000_000;

describe('The tree of names', () => {
  function used(): Inspected {
    const watch = new Inspected();
    const sensor = watch.program('sensor');
    watch.program('screen').listen('$.Room.*');
    watch.program('heater').answer('$.Heater.Set');
    for (const name of ['$.Room.1.Temp', '$.Room.2.Temp', '$.Room.2.Temp']) sensor.announce(name);
    sensor.request('$.Nobody');
    watch.settle();
    return watch;
  }
  const lines = (watch: Inspected, closed: string[] = [], search = ''): string[] =>
    treeOf(watch.page.names, (path) => closed.includes(path), search).map(
      ({ depth, label, below }) => `${'  '.repeat(depth)}${label} ${below}`,
    );

  it('has a line for each branch, and joins words that do not branch', () => {
    expect(lines(used())).toEqual([
      '$.Heater.Set 0',
      '$.Nobody 0',
      '$.Room 3',
      '  * 0',
      '  1.Temp 0',
      '  2.Temp 0',
    ]);
    expect(lines(used(), ['$.Room'])).toEqual(['$.Heater.Set 0', '$.Nobody 0', '$.Room 3']);
    expect(lines(used(), [], 'heat')).toEqual(['$.Heater.Set 0']);
    expect(lines(used(), [], '$.Room.1.%')).toEqual(['$.Room.1.Temp 0']);
  });

  it('knows who listens, who replies, and that nobody does though it is asked', () => {
    const { names, programs } = used().page;
    const who = (name: string) => {
      const { listeners, repliers } = names.boundTo(name);
      return [...listeners, ...repliers].map(({ ksock }) => programs.nameOf(ksock));
    };
    expect(who('$.Room.2.Temp')).toEqual(['screen']);
    expect(who('$.Heater.Set')).toEqual(['heater']);
    expect(who('$.Nobody')).toEqual([]);
    expect(names.get('$.Nobody')?.unanswerable).toBe(1);
    expect(names.get('$.Room.2.Temp')?.count).toBe(2);
  });

  it('keeps a bounded number of names', () => {
    const watch = new Inspected({ messages: 100, bytes: 1e6 });
    const sensor = watch.program('sensor');
    for (let at = 0; at < 6000; at++) sensor.announce(`$.N.${at}`);
    watch.settle();
    expect(watch.page.names.size).toBe(5000);
    expect(watch.page.names.forgotten).toBe(1000);
    expect(watch.page.names.get('$.N.5999')?.count).toBe(1);
  });
});

describe('A line of rates', () => {
  it('has the messages of each of the last 60 seconds', () => {
    const line = new RateLine();
    line.add(0.5 * SECOND, 2);
    line.add(1.2 * SECOND);
    line.add(3.9 * SECOND, 7);
    expect(line.at(4 * SECOND).slice(-5)).toEqual([2, 1, 0, 7, 0]);
    expect(line.rate(4 * SECOND)).toBe(7);
    expect(line.at((3 + SECONDS) * SECOND)).toEqual(new Array(SECONDS).fill(0));
    line.add(500 * SECOND, 3);
    expect(line.at(500 * SECOND).at(-1)).toBe(3);
  });
});

describe('Who talks to whom', () => {
  it('is counted by sender and receiver, with answers and missed messages', () => {
    const watch = new Inspected();
    const panel = watch.program('panel');
    const heater = watch.program('heater').answer('$.Heater');
    const logger = watch.program('logger', { limit: 1 }).listen('$.A');
    panel.announce('$.A');
    panel.announce('$.A');
    panel.request('$.Heater');
    heater.reply(heater.next());
    watch.pass(2 * SECOND);
    watch.settle();
    const { pairs, programs } = watch.page;
    pairs.turn(watch.time);
    const shown = [...pairs.all()].map(({ count, from, missed, rate, to }) => [
      from,
      to,
      count,
      missed,
      rate,
    ]);
    expect(shown).toEqual([
      [panel.id, logger.id, 1, 1, 0.5],
      [panel.id, heater.id, 1, 0, 0.5],
      [heater.id, panel.id, 1, 0, 0.5],
    ]);
    expect(matrixOf(pairs)).toMatchObject({
      senders: [panel.id, heater.id],
      receivers: [panel.id, heater.id, logger.id],
    });
    const { receivers, senders } = neighboursOf(pairs, programs, panel.id);
    expect(senders.map(({ ksock }) => ksock)).toEqual([heater.id]);
    expect(receivers.map(({ ksock }) => ksock)).toEqual([heater.id, logger.id]);
    heater.ksock.close();
    watch.settle();
    expect(matrixOf(pairs).pairs).toHaveLength(1);
  });
});
