import { describe, expect, it } from 'vitest';
import type { BusKsock } from '../../src/bus/ksock.ts';
import {
  Ledger,
  Outstanding,
  type RequestEvent,
  RequestRecord,
  type RequestState,
  TRANSITIONS,
  Unreplied,
} from '../../src/bus/ledger.ts';
import type { Parcel } from '../../src/bus/parcel.ts';

function ksock(id: number): BusKsock {
  return { id, outstanding: new Outstanding(), unreplied: new Unreplied() } as unknown as BusKsock;
}

const STATES: RequestState[] = ['waiting', 'unread', 'read', 'ended'];
const EVENTS: RequestEvent[] = [
  'accept',
  'give up',
  'no replier',
  'hopeless',
  'read',
  'unbind',
  'answer',
  'replier gone',
  'requester gone',
];

/** Sections 6 to 8 of the specification, once more; what is not here changes nothing. */
const TABLE: Record<string, { to: RequestState; status?: string }> = {
  'waiting, accept': { to: 'unread' },
  'waiting, give up': { to: 'ended' },
  'waiting, no replier': { to: 'ended', status: '$.KBUS.Replier.Disappeared' },
  'waiting, hopeless': { to: 'ended', status: '$.KBUS.ErrorSending' },
  'waiting, requester gone': { to: 'ended' },
  'unread, read': { to: 'read' },
  'unread, unbind': { to: 'ended', status: '$.KBUS.Replier.Unbound' },
  'unread, answer': { to: 'ended' },
  'unread, replier gone': { to: 'ended', status: '$.KBUS.Replier.GoneAway' },
  'unread, requester gone': { to: 'ended' },
  'read, answer': { to: 'ended' },
  'read, replier gone': { to: 'ended', status: '$.KBUS.Replier.Ignored' },
  'read, requester gone': { to: 'ended' },
};

/** Brings a Request to a state. */
function bring(state: RequestState) {
  const statuses: Parcel[] = [];
  const ledger = new Ledger((_record, status) => statuses.push(status));
  const requester = ksock(1);
  const replier = ksock(2);
  const record = new RequestRecord(0, 7, requester, -1);
  if (state !== 'waiting') ledger.accept(record, replier);
  if (state === 'read') ledger.apply(record, 'read', 0);
  if (state === 'ended') ledger.apply(record, 'answer', 0);
  expect(record.state).toBe(state);
  return { ledger, record, requester, replier, statuses };
}

describe('the ledger', () => {
  it.for(STATES.flatMap((state) => EVENTS.map((event) => [state, event] as const)))(
    'moves a Request that is %s, when this happens: %s',
    ([state, event]) => {
      const { ledger, record, requester, replier, statuses } = bring(state);
      const row = TABLE[`${state}, ${event}`];
      expect(TRANSITIONS[state][event]).toEqual(row);

      // To accept is more than a step of the record: it is what `accept` does.
      if (event === 'accept' && state === 'waiting') ledger.accept(record, replier);
      else ledger.apply(record, event, 9);

      const now = row?.to ?? state;
      expect(record.state).toBe(now);
      const isOpen = now === 'unread' || now === 'read';
      expect(ledger.open).toBe(isOpen ? 1 : 0);
      expect(requester.outstanding.size).toBe(isOpen ? 1 : 0);
      expect(replier.unreplied.size).toBe(now === 'read' ? 1 : 0);
      expect(statuses.map(({ name }) => name)).toEqual(row?.status ? [row.status] : []);
      for (const status of statuses) {
        expect(status).toMatchObject({
          from: 9,
          to: 1,
          flags: 4,
          replyNetwork: 0,
          replySerial: 7,
          dataLength: 0,
        });
      }
    },
  );

  it('has no row that this test does not know', () => {
    const rows = STATES.flatMap((state) =>
      Object.keys(TRANSITIONS[state]).map((event) => `${state}, ${event}`),
    );
    expect(rows.sort()).toEqual(Object.keys(TABLE).sort());
  });

  it('gives no second answer, whatever happens after the first', () => {
    for (const first of EVENTS) {
      for (const second of EVENTS) {
        const { ledger, record, statuses } = bring('read');
        ledger.apply(record, first, 0);
        ledger.apply(record, second, 0);
        ledger.apply(record, second, 0);
        const answers = statuses.length + (first === 'answer' ? 1 : 0);
        expect(answers).toBeLessThanOrEqual(1);
      }
    }
  });
});

describe('the outstanding Requests of a Ksock', () => {
  const requester = ksock(1);
  const [replier, another] = [ksock(2), ksock(3)];

  function add(outstanding: Outstanding, network: number, by: BusKsock, state: RequestState) {
    const record = new RequestRecord(network, 5, requester, -1);
    record.replier = by;
    record.state = state;
    outstanding.add(record);
    return record;
  }

  it('are found by id and Replier', () => {
    const outstanding = new Outstanding();
    const local = add(outstanding, 0, replier, 'unread');
    const remote = add(outstanding, 1, replier, 'unread');
    expect(outstanding.find(0, 5, replier)).toBe(local);
    expect(outstanding.find(1, 5, replier)).toBe(remote);
    expect(outstanding.find(0, 5, another)).toBeNull();
    expect(outstanding.find(0, 6, replier)).toBeNull();
    expect(outstanding.find(5, 0, replier)).toBeNull();
  });

  it('may have one id: then the oldest that was read comes first, then the oldest', () => {
    const outstanding = new Outstanding();
    const anothers = add(outstanding, 1, another, 'read');
    const first = add(outstanding, 1, replier, 'unread');
    const second = add(outstanding, 1, replier, 'read');
    const third = add(outstanding, 1, replier, 'read');
    const found = [];
    for (let left = 3; left > 0; left--) {
      const record = outstanding.find(1, 5, replier) as RequestRecord;
      found.push(record);
      outstanding.remove(record);
    }
    expect(found).toEqual([second, third, first]);
    expect(outstanding.find(1, 5, replier)).toBeNull();
    expect(outstanding.all()).toEqual([anothers]);
  });

  it('count themselves, and the most there ever were', () => {
    const outstanding = new Outstanding();
    const records = [0, 1, 1, 1].map((network) => add(outstanding, network, replier, 'unread'));
    // From the middle, the front and the end of those with one id.
    for (const at of [2, 1, 3, 0]) outstanding.remove(records[at] as RequestRecord);
    expect(outstanding.all()).toEqual([]);
    add(outstanding, 0, replier, 'unread');
    expect(outstanding).toMatchObject({ size: 1, max: 4 });
  });
});
