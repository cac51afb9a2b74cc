import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/message/errno.ts';
import { fateInWords, headerInWords } from '../../src/page/model/in-words.ts';
import { Inspected } from './inspected.ts';

const MANY = { messages: 1000, bytes: 1e9 };

describe('The history of the page', () => {
  it('has who got a message, who missed it, and when it was read', () => {
    const watch = new Inspected();
    const sender = watch.program('sensor');
    const quick = watch.program('screen').listen('$.A');
    const full = watch.program('logger', { limit: 1 }).listen('$.*');
    sender.announce('$.A');
    sender.announce('$.A');
    watch.pass(300);
    quick.read();
    const [first, second] = watch.entries;
    expect(first?.copies.map(({ ksock }) => ksock).sort()).toEqual([quick.id, full.id]);
    expect(second?.missed).toEqual([full.id]);
    expect(first?.copies.find(({ ksock }) => ksock === quick.id)?.readAt).toBe(300);
    expect(fateInWords(first as never, watch.page.programs)).toEqual(
      expect.arrayContaining([
        `Queued for screen (Ksock ${quick.id}), which listens to $.A: read after 300 µs.`,
        `Queued for logger (Ksock ${full.id}), which listens to $.*: not read yet.`,
      ]),
    );
    expect(fateInWords(second as never, watch.page.programs).join()).toContain(
      `Missed by logger (Ksock ${full.id}): its queue was full.`,
    );
  });

  it('has the Reply of a Request, and the Request of a Reply, with the time between', () => {
    const watch = new Inspected();
    const panel = watch.program('panel');
    const heater = watch.program('heater').answer('$.Heater');
    panel.request('$.Heater');
    watch.pass(1000);
    const asked = heater.next();
    watch.pass(500);
    heater.reply(asked);
    const [request, reply] = watch.entries;
    expect(request).toMatchObject({ kind: 'Request', answeredAt: 1500 });
    expect(request?.answer).toBe(reply);
    expect(reply?.request).toBe(request);
    expect(reply?.copies.map(({ ksock }) => ksock)).toEqual([panel.id]);
    expect(fateInWords(request as never, watch.page.programs)).toContain(
      `Reply $.Heater by heater (Ksock ${heater.id}) after 1.5 ms.`,
    );
    const fields = headerInWords(reply as never, watch.page.programs);
    expect(fields.find(({ field }) => field === 'in_reply_to')?.value).toBe(
      String(request?.message.id),
    );
  });

  it('has the Status of a Request whose Replier leaves', () => {
    const watch = new Inspected();
    const panel = watch.program('panel');
    const heater = watch.program('heater').answer('$.Heater');
    panel.request('$.Heater');
    heater.next();
    heater.ksock.close();
    const [request, status] = watch.entries;
    expect(status).toMatchObject({ kind: 'Status', from: 0, state: 'sent' });
    expect(request?.answer).toBe(status);
  });

  it('has why a send was refused', () => {
    const watch = new Inspected();
    watch.program('panel').request('$.Nobody');
    const [refused] = watch.entries;
    expect(refused).toMatchObject({ state: 'refused', errno: Errno.EADDRNOTAVAIL });
    expect(fateInWords(refused as never, watch.page.programs)[0]).toMatch(
      /^KBUS refused it with EADDRNOTAVAIL: ./,
    );
  });

  it('forgets the oldest messages beyond its limit, and no pair keeps them', () => {
    const watch = new Inspected({ messages: 10, bytes: 1e9 });
    const panel = watch.program('panel');
    const heater = watch.program('heater').answer('$.Heater');
    panel.request('$.Heater');
    for (let at = 0; at < 9; at++) panel.announce('$.A');
    heater.reply(heater.next());
    const { history } = watch.page;
    expect(watch.entries).toHaveLength(10);
    expect([history.first, history.end]).toEqual([1, 11]);
    expect(history.get(0)).toBeUndefined();
    expect(history.find('[0:1]')).toBeUndefined();
    expect(history.get(10)).toMatchObject({ kind: 'Reply', request: null });
  });

  it('goes on after another tap: what was before keeps its time', () => {
    const watch = new Inspected(MANY);
    const sender = watch.program('sensor');
    sender.announce('$.A');
    watch.pass(1000);
    watch.settle();
    const begin = {
      bus: 0,
      maxMessageSize: 1,
      reportReplierBinds: false,
      nextKsock: 1,
      nextSerial: 1,
    };
    watch.page.apply([{ type: 'begin', time: 0, startedAt: 5000, ...begin }], 0);
    // The tap before began at 0.
    expect(watch.page.latest).toBe(5_000_000);
    expect(watch.page.history.get(0)).toMatchObject({ name: '$.A', time: 0 });
    expect(watch.page.history.find('[0:1]')).toBeUndefined();
  });
});
