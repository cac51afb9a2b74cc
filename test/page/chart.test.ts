import { describe, expect, it } from 'vitest';
import { Chart } from '../../src/page/model/chart.ts';
import { NO_FILTER, testOf } from '../../src/page/model/filter.ts';
import type { HistoryLimits } from '../../src/page/model/history.ts';
import { Inspected } from './inspected.ts';

function plant(limits?: HistoryLimits) {
  const watch = new Inspected(limits);
  const sensor = watch.program('sensor');
  const panel = watch.program('panel');
  const screen = watch.program('screen').listen('$.Room.*');
  const heater = watch.program('heater').answer('$.Heater');
  const chart = new Chart(watch.page.history, watch.page.programs);
  const rows = (): string[] => {
    watch.settle();
    chart.take(watch.time);
    return Array.from({ length: chart.length }, (_, at) => {
      const { count, last } = chart.at(at) as never as {
        count: number;
        last: { kind: string; name: string };
      };
      return `${count} ${last.kind} ${last.name}`;
    });
  };
  return { watch, sensor, panel, screen, heater, chart, rows };
}

describe('The sequence chart', () => {
  it('has a row for each message, and lanes for those whom they are about', () => {
    const { chart, heater, panel, rows, screen, sensor, watch } = plant();
    sensor.announce('$.Room.1');
    panel.request('$.Heater');
    watch.pass(10);
    heater.reply(heater.next());
    expect(rows()).toEqual(['1 Announcement $.Room.1', '1 Request $.Heater', '1 Reply $.Heater']);
    expect(chart.lanes()).toEqual([sensor.id, panel.id, screen.id, heater.id]);
  });

  it('folds messages that repeat, also if others repeat between them', () => {
    const { chart, rows, sensor } = plant();
    chart.choose(NO_FILTER, true);
    for (let at = 0; at < 5; at++) {
      sensor.announce('$.Room.1');
      sensor.announce('$.Room.2');
    }
    sensor.announce('$.Else');
    expect(rows()).toEqual([
      '5 Announcement $.Room.1',
      '5 Announcement $.Room.2',
      '1 Announcement $.Else',
    ]);
  });

  it('stands still while it is paused, and counts what comes', () => {
    const { chart, rows, sensor } = plant();
    sensor.announce('$.Room.1');
    rows();
    chart.pause();
    sensor.announce('$.Room.2');
    expect(rows()).toEqual(['1 Announcement $.Room.1']);
    expect(chart.held).toBe(1);
    chart.resume();
    expect(rows()).toEqual(['1 Announcement $.Room.1', '1 Announcement $.Room.2']);
  });

  it('counts the rows that go by between two drawings', () => {
    const { chart, rows, sensor } = plant();
    sensor.announce('$.Room.1');
    rows();
    chart.drawn(10);
    for (let at = 0; at < 50; at++) sensor.announce(`$.Room.${at}`);
    rows();
    chart.drawn(10);
    expect(chart.undrawn).toBe(40);
  });

  it('goes as far back as the history, and no farther', () => {
    const { chart, panel, rows, screen, sensor } = plant({ messages: 5000, bytes: 1e9 });
    panel.announce('$.Panel');
    for (let at = 0; at < 12_000; at++) {
      sensor.announce(`$.Room.${at}`);
      screen.rest();
      if (at % 1000 === 0) rows();
    }
    expect(rows()).toHaveLength(5000);
    expect(chart.at(0)?.last.name).toBe('$.Room.7000');
    expect(chart.at(4999)?.last.name).toBe('$.Room.11999');
    // Who was seen in what is forgotten has no lane.
    expect(chart.lanes()).toEqual([sensor.id, screen.id]);
  });

  it('finds the row of a time', () => {
    const { chart, rows, sensor, watch } = plant();
    for (let at = 0; at < 5; at++) {
      sensor.announce(`$.Room.${at}`);
      watch.pass(1000);
    }
    rows();
    const times = Array.from({ length: 5 }, (_, at) => chart.at(at)?.first.time as number);
    expect(times.map((time) => chart.indexAt(time))).toEqual([0, 1, 2, 3, 4]);
    expect(chart.indexAt((times[1] as number) + 1)).toBe(1);
    expect([chart.indexAt(-1), chart.indexAt(1e12)]).toEqual([0, 4]);
  });

  it('folds a Request and its Reply that repeat, and says how long the Replies took', () => {
    const { chart, heater, panel, rows, watch } = plant();
    chart.choose(NO_FILTER, true);
    for (const ms of [3, 1, 2]) {
      panel.request('$.Heater');
      watch.pass(ms * 1000);
      heater.reply(heater.next());
    }
    expect(rows()).toEqual(['3 Request $.Heater', '3 Reply $.Heater']);
    const [least = 0, most = 0] = chart.at(1)?.took ?? [];
    expect([Math.round(least), Math.round(most)]).toEqual([1, 3]);
    expect(chart.at(0)?.took).toBeNull();
  });

  it('shows only Requests that took longer, with their answers, once they are known to', () => {
    const { chart, heater, panel, rows, watch } = plant();
    chart.choose({ ...NO_FILTER, slower: 10 }, false);
    panel.request('$.Heater');
    watch.pass(5000);
    heater.reply(heater.next());
    panel.request('$.Heater');
    expect(rows()).toEqual([]);
    watch.pass(20_000);
    heater.reply(heater.next());
    expect(rows()).toEqual(['1 Request $.Heater', '1 Reply $.Heater']);
  });
});

describe('The filter of messages', () => {
  const filtered = (text: string, change = {}): string[] => {
    const { heater, panel, sensor, watch } = plant();
    sensor.announce('$.Room.1');
    sensor.announce('$.Room.1.Temp');
    panel.request('$.Heater');
    heater.reply(heater.next());
    const entries = watch.entries;
    const test = testOf({ ...NO_FILTER, text, ...change }, watch.page.programs, () => watch.time);
    return entries.filter(test).map(({ kind, name }) => `${kind} ${name}`);
  };

  it.each([
    ['room', ['Announcement $.Room.1', 'Announcement $.Room.1.Temp']],
    ['room temp', ['Announcement $.Room.1.Temp']],
    ['sensor', ['Announcement $.Room.1', 'Announcement $.Room.1.Temp']],
    ['$.Room.%', ['Announcement $.Room.1']],
    ['name:$.Room.1', ['Announcement $.Room.1']],
    ['from:heater', ['Reply $.Heater']],
    ['to:heater', ['Request $.Heater']],
    ['[0:3]', ['Request $.Heater', 'Reply $.Heater']],
    ['nothing', []],
    // While the user types.
    ['from: name: [0: $.Room.*.', []],
  ])('%s', (text, expected) => {
    expect(filtered(text)).toEqual(expected);
  });

  it('hides kinds, and shows one program', () => {
    expect(filtered('', { hidden: ['Announcement', 'Reply'] })).toEqual(['Request $.Heater']);
    expect(filtered('', { ksock: 4 })).toEqual(['Request $.Heater', 'Reply $.Heater']);
  });
});
