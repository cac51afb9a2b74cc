import { describe, expect, it } from 'vitest';
import {
  type Bus,
  printBindings,
  printStats,
  reportBindings,
  reportStats,
} from '../../src/bus/index.ts';
import { Flag } from '../../src/message/flags.ts';
import type { KsockReport } from '../../src/message/reports.ts';
import { stage } from './program.ts';

/** The clock of the bus's driver shows so many milliseconds. */
function passTo(bus: Bus, ms: number): void {
  bus.work.clock = () => ms;
  bus.work.tick();
}

describe('the report of bindings', () => {
  it('is a header line, and a line for each binding, newest first', () => {
    const { bus, program } = stage();
    const first = program();
    first.listen('$.Fred').answer('$.Fred.*');
    program().listen('$.Fred');
    expect(printBindings(0, reportBindings(bus))).toMatch(
      new RegExp(
        [
          '^# .*',
          '  0:        2     1000  L  \\$\\.Fred',
          '  0:        1     1000  R  \\$\\.Fred\\.\\*',
          '  0:        1     1000  L  \\$\\.Fred',
          '$',
        ].join('\n'),
      ),
    );
  });

  it('is a header line if there is no binding', () => {
    expect(printBindings(3, reportBindings(stage().bus))).toMatch(/^#[^\n]*\n$/);
  });

  it('keeps its columns for the largest numbers', () => {
    const row = {
      device: 255,
      ksock: 12345678,
      program: '',
      pid: 4194304,
      claimed: true,
      replier: true,
      name: '$.A',
    };
    expect(printBindings(255, [row])).toContain('\n255: 12345678  4194304  R  $.A\n');
  });

  it('names the Ksock, and not the binding, of each device', () => {
    const { bus, program } = stage();
    program().answer('$.A');
    expect(reportBindings(bus)).toEqual([
      { device: 0, ksock: 1, program: '', pid: 1000, claimed: true, replier: true, name: '$.A' },
    ]);
  });
});

describe('the statistics', () => {
  it('are printed as the specification shows, newest Ksock first', () => {
    const { bus, program } = stage();
    const requester = program();
    const replier = program({ limit: 1 }).answer('$.A');
    const listener = program({ limit: 1 }).listen('$.B');
    requester.request('$.A');
    requester.announce('$.B');
    replier.reply(replier.next());
    requester.announce('$.B', { flags: Flag.ALL_OR_WAIT });
    requester.ksock.progress = () => ({
      readAt: 3,
      readLength: 96,
      wroteAt: 52,
      wrotePart: 'DATA',
      wroteAll: false,
    });
    listener.ksock.progress = () => ({
      readAt: 0,
      readLength: 0,
      wroteAt: 0,
      wrotePart: 'FINAL',
      wroteAll: true,
    });
    expect(printStats(reportStats(bus))).toBe(
      `dev  0: next ksock 4 next msg 5 unsent unbindings 0
    ksock 3 last msg 0:0 queue 1 of 1
      read byte 0 of 0, wrote byte 0 of FINAL (finished), not sending
      outstanding requests 0 (size 16, max 0), unsent replies 0 (max 0)
    ksock 2 last msg 0:3 queue 0 of 1
      read byte 0 of 0, wrote byte 0 of HDR (not finished), not sending
      outstanding requests 0 (size 16, max 0), unsent replies 0 (max 1)
    ksock 1 last msg 0:4 queue 1 of 10000
      read byte 3 of 96, wrote byte 52 of DATA (not finished), sending
      outstanding requests 0 (size 16, max 1), unsent replies 0 (max 0)
`,
    );
  });

  it('have how long the oldest unread message and the oldest unanswered Request have waited', () => {
    const { bus, program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    const ages = () => {
      const { unreadAge, unsentReplyAge } = reportStats(bus).ksocks[1] as KsockReport;
      return [unreadAge, unsentReplyAge];
    };
    passTo(bus, 1000);
    expect(ages()).toEqual([null, null]);
    requester.request('$.A');
    passTo(bus, 1300);
    requester.request('$.A');
    expect(ages()).toEqual([300, null]);
    const first = replier.next();
    passTo(bus, 1500);
    expect(ages()).toEqual([200, 200]);
    const second = replier.next();
    passTo(bus, 1600);
    expect(ages()).toEqual([null, 300]);
    replier.reply(first);
    expect(ages()).toEqual([null, 100]);
    replier.reply(second);
    expect(ages()).toEqual([null, null]);
  });

  it('have ages across the end of the clock', () => {
    const { bus, program } = stage();
    program().listen('$.A');
    passTo(bus, 2 ** 31 - 50.5);
    program().announce('$.A');
    passTo(bus, 2 ** 31 + 149.9);
    expect(reportStats(bus).ksocks[1]).toMatchObject({ unreadAge: 200 });
  });

  it('have no ages without a clock', () => {
    const { bus, program } = stage();
    const listener = program().listen('$.A');
    program().announce('$.A');
    expect(reportStats(bus).ksocks[1]).toMatchObject({ queue: 1, unreadAge: null });
    passTo(bus, 5);
    expect(reportStats(bus).ksocks[1]).toMatchObject({ queue: 1, unreadAge: null });
    listener.next();
  });

  it('count messages that were sent and read, with answers that go past the queue', () => {
    const { bus, program } = stage();
    const replier = program().answer('$.A');
    const requester = program().listen('$.B');
    requester.announce('$.B');
    requester.announce('$.Nobody.Listens');
    requester.request('$.A', { token: 7 });
    expect(requester.request('$.No.Replier')).toBe('EADDRNOTAVAIL');
    requester.next();
    replier.reply(replier.next());
    const [asking, answering] = reportStats(bus).ksocks;
    expect(asking).toMatchObject({ messagesSent: 3, messagesRead: 2 });
    expect(answering).toMatchObject({ messagesSent: 1, messagesRead: 1 });
  });

  it('have the number of bind events held past limits', () => {
    const { bus, program } = stage();
    program({ limit: 1 }).listen('$.KBUS.ReplierBindEvent');
    const replier = program().answer('$.A', '$.B');
    replier.ksock.reportReplierBinds(1);
    replier.close();
    expect(reportStats(bus).unsentUnbindings).toBe(1);
    expect(printStats(reportStats(bus))).toContain('unsent unbindings 1\n');
  });

  it('have the number of missed messages, and the largest number of Requests', () => {
    const { bus, program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    for (let count = 0; count < 20; count++) requester.request('$.A');
    const listener = program({ limit: 1 }).listen('$.B');
    for (let count = 0; count < 3; count++) requester.announce('$.B');
    replier.close();
    const [missing, asking] = reportStats(bus).ksocks;
    expect(missing).toMatchObject({ ksock: listener.id, missed: 2 });
    expect(asking).toMatchObject({ outstandingRequests: 0, maxOutstandingRequests: 20 });
    expect(printStats(reportStats(bus))).toContain('outstanding requests 0 (size 32, max 20)');
  });
});
