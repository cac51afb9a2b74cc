import { describe, expect, it } from 'vitest';
import { Bus, Buses, MAX_BUSES } from '../../src/bus/index.ts';
import { outcome, Program } from './program.ts';

describe('buses', () => {
  it('are numbered from 0, and bus 0 always exists', () => {
    const buses = new Buses();
    expect([...buses].map(({ number }) => number)).toEqual([0]);
    expect(buses.newDevice()).toBe(1);
    expect(buses.get(1)?.number).toBe(1);
    expect(buses.get(2)).toBeUndefined();
  });

  it('are 256 at most', () => {
    const buses = new Buses(MAX_BUSES - 1);
    expect(buses.newDevice()).toBe(255);
    expect(outcome(buses.newDevice())).toBe('EINVAL');
    expect(buses.count).toBe(256);
  });

  it('treat undefined settings as missing', () => {
    const bus = new Bus({ number: undefined, maxMessages: undefined, maxBindings: 7 });
    const { settings } = bus;
    expect([bus.number, settings.maxMessages, settings.maxBindings]).toEqual([0, 10_000, 7]);
    const [one] = new Buses(1, { maxMessages: undefined, maxMessageSize: 500 });
    expect([one?.settings.maxMessages, one?.maxMessageSize(0)]).toEqual([10_000, 500]);
  });

  it('refuse an unknown setting, and name the nearest one', () => {
    expect(() => new Bus({ maxMesages: 5 } as never)).toThrow(
      new TypeError("a Bus has no option 'maxMesages'; did you mean 'maxMessages'?"),
    );
    expect(() => new Buses(1, { maxBinding: 5 } as never)).toThrow(/did you mean 'maxBindings'\?$/);
  });

  it('let nothing pass between them', () => {
    const buses = new Buses(2);
    const here = new Program(buses.get(0) as Bus);
    const there = new Program(buses.get(1) as Bus).listen('$.*').answer('$.A');
    expect(here.id).toBe(there.id);
    expect(here.announce('$.A')).toBe('ok');
    expect(here.request('$.A')).toBe('EADDRNOTAVAIL');
    expect(there.rest()).toEqual([]);
    expect(here.ksock.findReplier('$.A')).toBe(0);
  });

  it('have the settings they were made with', () => {
    const buses = new Buses(1, { maxMessages: 7, maxMessageSize: 200 });
    const bus = buses.get(buses.newDevice()) as Bus;
    expect(new Program(bus).ksock.maxMessages(0)).toBe(7);
    expect(bus.maxMessageSize(0)).toBe(200);
  });

  it('adopt a bus that was made alone', () => {
    const bus = new Bus({ maxMessages: 3 });
    const buses = Buses.of(bus);
    expect(Buses.of(bus)).toBe(buses);
    expect(buses.get(0)).toBe(bus);
    const next = buses.get(buses.newDevice()) as Bus;
    expect(Buses.of(next)).toBe(buses);
    expect(new Program(next).ksock.maxMessages(0)).toBe(3);
  });
});
