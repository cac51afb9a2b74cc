import { describe, expect, it } from 'vitest';
import type { BusKsock } from '../../src/bus/ksock.ts';
import { Ledger, RequestEvent, TRANSITIONS } from '../../src/bus/ledger.ts';
import type { MessageBatch } from '../../src/bus/message-batch.ts';
import { Outstanding, RequestRecord, RequestState, Unreplied } from '../../src/bus/requests.ts';
import { allOf } from '../support/outstanding.ts';

function ksock(id: number): BusKsock {
  const share = { hold: () => {} };
  const requests = { outstanding: new Outstanding(), unreplied: new Unreplied() };
  return { id, share, ...requests } as unknown as BusKsock;
}

type StateName = keyof typeof RequestState;
type EventName = keyof typeof RequestEvent;

const STATES: StateName[] = ['WAITING', 'UNREAD', 'READ', 'ENDED'];
const EVENTS: EventName[] = [
  'ACCEPT',
  'GIVE_UP',
  'NO_REPLIER',
  'HOPELESS',
  'READ',
  'UNBIND',
  'ANSWER',
  'REPLIER_GONE',
  'REQUESTER_GONE',
];

/** The transitions of spec 1 §6, spec 1 §7 and spec 1 §8, written a second time. Other events change nothing. */
const TABLE: Record<string, { to: StateName; status?: string }> = {
  'WAITING, ACCEPT': { to: 'UNREAD' },
  'WAITING, GIVE_UP': { to: 'ENDED' },
  'WAITING, NO_REPLIER': { to: 'ENDED', status: '$.KBUS.Replier.Disappeared' },
  'WAITING, HOPELESS': { to: 'ENDED', status: '$.KBUS.ErrorSending' },
  'WAITING, REQUESTER_GONE': { to: 'ENDED' },
  'UNREAD, READ': { to: 'READ' },
  'UNREAD, UNBIND': { to: 'ENDED', status: '$.KBUS.Replier.Unbound' },
  'UNREAD, ANSWER': { to: 'ENDED' },
  'UNREAD, REPLIER_GONE': { to: 'ENDED', status: '$.KBUS.Replier.GoneAway' },
  'UNREAD, REQUESTER_GONE': { to: 'ENDED' },
  'READ, ANSWER': { to: 'ENDED' },
  'READ, REPLIER_GONE': { to: 'ENDED', status: '$.KBUS.Replier.Ignored' },
  'READ, REQUESTER_GONE': { to: 'ENDED' },
  'UNREAD, GIVE_UP': { to: 'ENDED' },
  'READ, GIVE_UP': { to: 'ENDED' },
};

/** Brings a Request to a state. */
function bring(state: StateName) {
  const statuses: MessageBatch[] = [];
  const ledger = new Ledger((_record, status) => statuses.push(status));
  const requester = ksock(1);
  const replier = ksock(2);
  const record = new RequestRecord(0, 7, requester, -1);
  if (state !== 'WAITING') ledger.accept(record, replier, 0);
  if (state === 'READ') ledger.apply(record, RequestEvent.READ, 0);
  if (state === 'ENDED') ledger.apply(record, RequestEvent.ANSWER, 0);
  expect(record.state).toBe(RequestState[state]);
  return { ledger, record, requester, replier, statuses };
}

describe('the ledger', () => {
  it.for(STATES.flatMap((state) => EVENTS.map((event) => [state, event] as const)))(
    'moves a Request that is %s at the event %s',
    ([state, event]) => {
      const { ledger, record, requester, replier, statuses } = bring(state);
      const row = TABLE[`${state}, ${event}`];
      expect(TRANSITIONS[RequestState[state]]?.[RequestEvent[event]]).toEqual(
        row === undefined ? undefined : { ...row, to: RequestState[row.to] },
      );

      // Accepting is more than a transition: `accept` does it.
      if (event === 'ACCEPT' && state === 'WAITING') ledger.accept(record, replier, 0);
      else ledger.apply(record, RequestEvent[event], 9);

      const now = row?.to ?? state;
      expect(record.state).toBe(RequestState[now]);
      const isOpen = now === 'UNREAD' || now === 'READ';
      expect(ledger.open).toBe(isOpen ? 1 : 0);
      expect(requester.outstanding.size).toBe(isOpen ? 1 : 0);
      expect(replier.unreplied.size).toBe(now === 'READ' ? 1 : 0);
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
    const rows = TRANSITIONS.flatMap((events, state) =>
      events.flatMap((transition, event) =>
        transition === undefined ? [] : `${STATES[state]}, ${EVENTS[event]}`,
      ),
    );
    expect(rows.sort()).toEqual(Object.keys(TABLE).sort());
  });

  it('gives no second answer, whatever happens after the first one', () => {
    for (const first of EVENTS) {
      for (const second of EVENTS) {
        const { ledger, record, statuses } = bring('READ');
        ledger.apply(record, RequestEvent[first], 0);
        ledger.apply(record, RequestEvent[second], 0);
        ledger.apply(record, RequestEvent[second], 0);
        const answers = statuses.length + (first === 'ANSWER' ? 1 : 0);
        expect(answers).toBeLessThanOrEqual(1);
      }
    }
  });
});

describe('the outstanding Requests of a Ksock', () => {
  const { READ, UNREAD } = RequestState;
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
    const local = add(outstanding, 0, replier, UNREAD);
    const remote = add(outstanding, 1, replier, UNREAD);
    expect(outstanding.find(0, 5, replier)).toBe(local);
    expect(outstanding.find(1, 5, replier)).toBe(remote);
    expect(outstanding.find(0, 5, another)).toBeNull();
    expect(outstanding.find(0, 6, replier)).toBeNull();
    expect(outstanding.find(5, 0, replier)).toBeNull();
  });

  it('may have the same id: then the oldest read one comes first, then the oldest', () => {
    const outstanding = new Outstanding();
    const anothers = add(outstanding, 1, another, READ);
    const first = add(outstanding, 1, replier, UNREAD);
    const second = add(outstanding, 1, replier, READ);
    const third = add(outstanding, 1, replier, READ);
    const found = [];
    for (let left = 3; left > 0; left--) {
      const record = outstanding.find(1, 5, replier) as RequestRecord;
      found.push(record);
      outstanding.remove(record);
    }
    expect(found).toEqual([second, third, first]);
    expect(outstanding.find(1, 5, replier)).toBeNull();
    expect(allOf(outstanding)).toEqual([anothers]);
  });

  it('count themselves, and keep their largest number', () => {
    const outstanding = new Outstanding();
    const records = [0, 1, 1, 1].map((network) => add(outstanding, network, replier, UNREAD));
    // From the middle, the front and the end of those with the same id.
    for (const at of [2, 1, 3, 0]) outstanding.remove(records[at] as RequestRecord);
    expect(allOf(outstanding)).toEqual([]);
    add(outstanding, 0, replier, UNREAD);
    expect(outstanding).toMatchObject({ size: 1, max: 4 });
  });
});
