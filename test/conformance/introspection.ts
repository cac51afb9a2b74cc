import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { fill, next } from './reading.ts';
import type { Stage } from './transport.ts';

export function introspection(stage: Stage): void {
  describe('spec 1 §11: Introspection', () => {
    it('`bindings` prints a header line that begins with `#` for each device, then a line for each binding, newest first: device, Ksock id, pid, `R` or `L`, name.', async () => {
      const one = await stage.open();
      const two = await stage.open();
      await one.bind('$.Fred', true);
      await two.bind('$.Fred.Bob');
      await one.bind('$.*');
      const lines = (await stage.place.bindings()).split('\n');
      expect(lines[0]).toMatch(/^#/);
      expect(lines.slice(1).map((line) => line.replace(/^(.{13}) [ \d]{8}/, '$1 PID'))).toEqual([
        '  0:        1 PID  L  $.*',
        '  0:        2 PID  L  $.Fred.Bob',
        '  0:        1 PID  R  $.Fred',
        '',
      ]);
      for (const line of lines.slice(1, 4)) expect(line).toMatch(/^.{13} {1,8}\d+ {2}[RL] /);
    });

    it('`stats` prints for each device the next Ksock and message, and each Ksock with its queue and its Requests, newest first.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      for (let at = 0; at < 3; at++) await requester.sendMsg(new Request('$.a'));
      await next(replier);
      await next(replier);
      const limit = stage.transport.queueLimit ?? 10_000;
      const text = await stage.place.stats();
      const line = 'read byte 0 of 0, wrote byte 0 of HDR (not finished), not sending';
      expect(text).toBe(
        [
          'dev  0: next ksock 3 next msg 4 unsent unbindings 0',
          `    ksock 2 last msg 0:0 queue 1 of ${limit}`,
          `      ${line}`,
          '      outstanding requests 0 (size 16, max 0), unsent replies 2 (max 2)',
          `    ksock 1 last msg 0:3 queue 0 of ${limit}`,
          `      ${line}`,
          '      outstanding requests 3 (size 16, max 3), unsent replies 0 (max 0)',
          '',
        ].join('\n'),
      );
    });

    it('`stats` shows which Ksocks are sending, and how many events are held past limits.', async () => {
      const replier = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.KBUS.ReplierBindEvent');
      await listener.bind('$.a');
      await listener.reportReplierBinds(true);
      await replier.bind('$.b', true);
      await next(listener);
      const sender = await stage.open();
      await fill(listener, sender);
      const message = new Announcement('$.a', null, { flags: Flag.ALL_OR_WAIT });
      await refused(sender.sendMsg(message), 'EAGAIN');
      await replier.close();
      const text = await stage.place.stats();
      expect(text).toMatch(/^dev {2}0: next ksock 4 next msg 5 unsent unbindings 1\n/);
      expect(text).toMatch(/ {4}ksock 3 .*\n {6}.*, sending\n/);
      expect(text).toMatch(/ {4}ksock 2 last msg 0:0 queue 2 of 1\n {6}.*, not sending\n/);
    });
  });
}
