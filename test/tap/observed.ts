import type { Bus } from '../../src/bus/bus.ts';
import { BusTap } from '../../src/tap/bus-tap.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { EventReader } from '../../src/tap/event-reader.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import { KINDS, type TapFilter } from '../../src/tap/filter.ts';

/** A tap on a bus, whose reader takes events when the test says so. Its clock counts the events. */
export class Observed {
  readonly tap: BusTap;
  readonly view = new BusView();
  readonly blocks: Uint8Array[] = [];
  private readonly reader = new EventReader();
  private time = 0;

  constructor(bus: Bus, filter: Partial<TapFilter> = {}, size = 4 * 1024 * 1024) {
    const all = { names: null, kinds: KINDS, data: 0xffff_ffff };
    this.tap = new BusTap(
      bus,
      { filter: { ...all, ...filter }, size, startedAt: 1000 },
      { now: () => ++this.time, hasEvents: () => {}, hasBlock: () => {} },
    );
    this.tap.goOn();
  }

  /** The events that have come since the last call; the view has them, too. */
  take(): TapEvent[] {
    const events: TapEvent[] = [];
    for (;;) {
      const block = this.tap.take();
      if (block !== null) {
        this.blocks.push(block);
        events.push(...this.reader.read(block));
      } else if (this.tap.mustGoOn) {
        this.tap.goOn();
      } else {
        for (const event of events) this.view.apply(event);
        return events;
      }
    }
  }
}

/** What a view shows, and what a bus has, for comparison. */
export function stateOfView(view: BusView): object {
  return {
    ksocks: [...view.ksocks.values()].sort((a, b) => a.ksock - b.ksock),
    bindings: [...view.bindings.values()].sort((a, b) => a.binding - b.binding),
    maxMessageSize: view.maxMessageSize,
    reportReplierBinds: view.reportReplierBinds,
  };
}

export function stateOfBus(bus: Bus): object {
  const bindings = Array.from(bus.routes, ({ ksock, name, order, replier }) => ({
    binding: order,
    ksock: ksock.id,
    replier,
    name,
  }));
  const ksocks = Array.from(bus.openKsocks, (ksock) => ({
    ksock: ksock.id,
    mode: ksock.mode,
    program: ksock.who.program,
    pid: ksock.pid,
    uid: ksock.who.uid,
    claimed: ksock.who.isClaimed,
    maxMessages: ksock.limit,
    once: ksock.onlyOnce,
    unread: ksock.numMessages,
    missed: ksock.missed,
    outstanding: ksock.outstanding.size,
    unreplied: ksock.numUnrepliedTo,
    sending: ksock.isSending,
  }));
  return {
    ksocks: ksocks.sort((a, b) => a.ksock - b.ksock),
    bindings: bindings.sort((a, b) => a.binding - b.binding),
    maxMessageSize: bus.largestMessage,
    reportReplierBinds: bus.bindReports.isOn,
  };
}
