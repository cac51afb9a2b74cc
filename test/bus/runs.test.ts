import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, Parcel, PENDING, Sends } from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import { holds } from '../model/property.ts';

/** A sender whose sends may wait, two listeners, and all that is told of what becomes of the sends. */
class Stage {
  readonly bus: Bus;
  readonly sender: BusKsock;
  readonly sends: Sends;
  readonly listeners: BusKsock[];
  readonly told: string[] = [];
  private nextTicket = 1;

  constructor(nextSerial: number) {
    this.bus = new Bus({ maxMessages: 5 });
    this.bus.nextSerial = nextSerial;
    const owner = { queued: () => {}, answered: () => {}, roomMade: () => this.sends.retry() };
    this.sender = this.bus.open(owner);
    this.sends = new Sends(this.sender, (parcel, result) => this.tell(parcel, result));
    this.listeners = [this.bus.open(owner), this.bus.open(owner)];
  }

  // A run that was sent is told of once, each message by itself here.
  private tell(parcel: Parcel, result: number): void {
    for (let index = 0; index < parcel.count; index++) {
      const serial = parcel.idSerial === 0 ? 0 : parcel.idSerial + index;
      this.told.push(`${parcel.ticket + index} ${result} ${serial}`);
    }
  }

  /** `count` messages that are alike but for their one byte of data: as a run, or one by one. */
  send(name: string, flags: number, waits: boolean, count: number, asRun: boolean): void {
    const bytes = new Uint8Array(count).map((_, index) => this.nextTicket + index);
    const make = (index: number): Parcel => {
      const parcel = new Parcel(name, flags, 0, bytes, index, 1);
      parcel.ticket = this.nextTicket + index;
      parcel.waits = waits;
      return parcel;
    };
    if (asRun && count > 1) {
      const run = make(0);
      run.count = count;
      run.stride = 1;
      this.sends.submitRun(run);
    } else {
      for (let index = 0; index < count; index++) {
        const parcel = make(index);
        const result = this.sends.submit(parcel);
        if (result !== PENDING) this.tell(parcel, result);
      }
    }
    this.nextTicket += count;
  }

  take(listener: number): string {
    const parcel = (this.listeners[listener] as BusKsock).take();
    return parcel === null
      ? 'none'
      : `${parcel.idSerial} from ${parcel.from} flags ${parcel.flags} data ${parcel.bytes[parcel.dataAt]}`;
  }

  state(): unknown {
    return [
      this.bus.nextSerial,
      this.sender.lastSerial,
      this.sends.pending,
      this.listeners.map((k) => [k.numMessages, k.occupied, k.missed, k.queuedSerial]),
    ];
  }
}

const name = fc.constantFrom('$.A', '$.B', '$.A.B');
const listener = fc.nat(1);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      send: name,
      flags: fc.constantFrom(0, Flag.ALL_OR_WAIT, Flag.ALL_OR_FAIL, Flag.URGENT),
      waits: fc.boolean(),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ take: listener }) },
  { weight: 3, arbitrary: fc.record({ takeMany: fc.integer({ min: 1, max: 4 }), listener }) },
  {
    weight: 2,
    arbitrary: fc.record({ bind: fc.constantFrom('$.A', '$.B', '$.A.*', '$.*'), listener }),
  },
  { weight: 1, arbitrary: fc.record({ unbind: fc.constantFrom('$.A', '$.B', '$.*'), listener }) },
  { weight: 1, arbitrary: fc.record({ limit: fc.integer({ min: 1, max: 12 }), listener }) },
  { weight: 1, arbitrary: fc.record({ once: fc.boolean(), listener }) },
  { weight: 1, arbitrary: fc.record({ cancel: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.constant({ discard: true }) },
);

describe('a run of messages', () => {
  it('is the same as its messages sent one by one, whatever else happens', () => {
    holds(
      fc.property(
        fc.constantFrom(1, 2 ** 32 - 8),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (nextSerial, steps) => {
          const stages = [new Stage(nextSerial), new Stage(nextSerial)];
          for (const each of steps) {
            const outcomes = stages.map((stage, at) => {
              const whom = 'listener' in each ? (stage.listeners[each.listener] as BusKsock) : null;
              if ('send' in each) {
                stage.send(each.send, each.flags, each.waits, each.count, at === 1);
              } else if ('take' in each) {
                return stage.take(each.take);
              } else if ('takeMany' in each) {
                const ksock = whom as BusKsock;
                ksock.takeMany(Math.min(each.takeMany, ksock.numMessages));
              } else if ('bind' in each) {
                return whom?.bind(each.bind, false);
              } else if ('unbind' in each) {
                return whom?.unbind(each.unbind, false);
              } else if ('limit' in each) {
                return whom?.maxMessages(each.limit);
              } else if ('once' in each) {
                return whom?.wantMessagesOnce(each.once ? 1 : 0);
              } else if ('cancel' in each) {
                return stage.sends.cancel(each.cancel);
              } else {
                stage.sends.discard();
              }
              return undefined;
            });
            expect(outcomes[1]).toEqual(outcomes[0]);
            expect(stages[1]?.state()).toEqual(stages[0]?.state());
          }
          for (const at of [0, 1]) {
            for (let left = true; left; ) {
              const [one, other] = stages.map((stage) => stage.take(at));
              expect(other).toBe(one);
              left = one !== 'none';
            }
          }
          expect(stages[1]?.told.sort()).toEqual(stages[0]?.told.sort());
        },
      ),
      400,
    );
  });

  it('is queued as one entry where nothing sets its messages apart', () => {
    const stage = new Stage(1);
    stage.listeners[0]?.bind('$.A', false);
    stage.send('$.A', 0, false, 4, true);
    expect(stage.listeners[0]?.queue.entries).toBe(1);
    expect(stage.listeners[0]?.numMessages).toBe(4);
    expect(stage.take(0)).toBe('1 from 1 flags 0 data 1');
    expect(stage.take(0)).toBe('2 from 1 flags 0 data 2');
    expect(stage.listeners[0]?.numMessages).toBe(2);
  });
});
