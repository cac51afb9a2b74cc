import { describe, expect, it } from 'vitest';
import { Announcement } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { readNames } from './reading.ts';
import type { Stage } from './transport.ts';

const LONGEST = `$.${'a'.repeat(998)}`;
const SENDABLE = [
  '$.a',
  '$.9',
  '$.Sensor.Kitchen.1',
  '$.KBUS.Mine',
  '$.living_room.Temp-2',
  '$._.-',
  LONGEST,
];
const MALFORMED = [
  '',
  '$',
  '$.',
  '.a',
  'a',
  'a.b',
  '$a',
  '$..a',
  '$.a.',
  '$.a..b',
  '$.a b',
  '$.a+b',
  '$.a/b',
  '$.a:b',
  '$.a$',
  '$.$.a',
  '$.a\n',
  '$.a\0',
  ' $.a',
  '$.*.a',
  '$.a*',
  '$.a.**',
  '$.%.*.b',
  '$.a.%%',
  '$.a.%b',
  '$.b%.a',
  '$.a.%*',
  '$%',
  '%',
  '$*',
  '*',
];

export function names(stage: Stage): void {
  describe('spec 1 §2: Names', () => {
    it.for(SENDABLE)('%s can be sent, and bound.', async (name) => {
      const ksock = await stage.open();
      await ksock.bind(name);
      await ksock.bind(name, true);
      await ksock.sendMsg(new Announcement(name));
      expect(await readNames(ksock)).toEqual([name]);
    });

    it('Names are case-sensitive.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.Case');
      await ksock.sendMsg(new Announcement('$.case'));
      await ksock.sendMsg(new Announcement('$.CASE'));
      await ksock.sendMsg(new Announcement('$.Case'));
      expect(await readNames(ksock)).toEqual(['$.Case']);
    });

    it('A name has 3 to 1000 bytes. One of more than 1000 bytes gets ENAMETOOLONG.', async () => {
      const ksock = await stage.open();
      const tooLong = `${LONGEST}a`;
      await refused(ksock.sendMsg(new Announcement(tooLong)), 'ENAMETOOLONG');
      await refused(ksock.bind(tooLong), 'ENAMETOOLONG');
      await refused(ksock.unbind(tooLong), 'ENAMETOOLONG');
      await refused(ksock.findReplier(tooLong), 'ENAMETOOLONG');
      // A wildcard does not change the limit.
      await ksock.bind(`$.${'a'.repeat(996)}.*`);
      await refused(ksock.bind(`$.${'a'.repeat(997)}.*`), 'ENAMETOOLONG');
    });

    it('A name is ASCII only.', async () => {
      const ksock = await stage.open();
      for (const name of ['$.caf\u00e9', '$.\u00c5', '\u00a4.a', '$\u00b7a']) {
        await refused(ksock.sendMsg(new Announcement(name)), 'EBADMSG');
        await refused(ksock.bind(name), 'EBADMSG');
        expect(await ksock.findReplier(name)).toBeNull();
      }
    });

    it('`$.*` and `$.%` are valid bindings.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.*');
      await ksock.bind('$.%');
      await ksock.sendMsg(new Announcement('$.a'));
      await ksock.sendMsg(new Announcement('$.a.b'));
      expect(await readNames(ksock)).toEqual(['$.a', '$.a', '$.a.b']);
    });

    it('`prefix.*` matches every name that begins with `prefix.`, at any depth below; not `prefix`.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a.*');
      for (const name of ['$.a', '$.a.b', '$.a.b.c', '$.a.b.c.d', '$.ab', '$.ab.c', '$.b.a.c']) {
        await ksock.sendMsg(new Announcement(name));
      }
      expect(await readNames(ksock)).toEqual(['$.a.b', '$.a.b.c', '$.a.b.c.d']);
    });

    it('`prefix.%` matches exactly one more word; not `prefix`.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a.%');
      for (const name of ['$.a', '$.a.b', '$.a.b.c', '$.a.bcd', '$.ab', '$.ab.c', '$.b']) {
        await ksock.sendMsg(new Announcement(name));
      }
      expect(await readNames(ksock)).toEqual(['$.a.b', '$.a.bcd']);
    });

    it('New: `%` may stand in any place, several times: it matches exactly one word each.', async () => {
      const ksock = await stage.open();
      const heard = async (...names: string[]): Promise<string[]> => {
        for (const name of names) await ksock.sendMsg(new Announcement(name));
        return readNames(ksock);
      };
      await ksock.bind('$.Room.%.Temp');
      expect(
        await heard(
          '$.Room.1.Temp',
          '$.Room.living_room.Temp',
          '$.Room.Temp',
          '$.Room.1.2.Temp',
          '$.Room.1.Temp.Now',
          '$.Room.1.Humidity',
          '$.Rooms.1.Temp',
        ),
      ).toEqual(['$.Room.1.Temp', '$.Room.living_room.Temp']);
      await ksock.unbind('$.Room.%.Temp');
      await ksock.bind('$.%.%.*');
      expect(await heard('$.a', '$.a.b', '$.a.b.c', '$.a.b.c.d')).toEqual(['$.a.b.c', '$.a.b.c.d']);
      await ksock.unbind('$.%.%.*');
      await ksock.bind('$.%.b.%');
      expect(await heard('$.b.b.b', '$.a.b.c', '$.a.c.b', '$.a.b')).toEqual(['$.b.b.b', '$.a.b.c']);
    });

    it('A message of a known name reaches a later wildcard binding, until that is unbound.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a.b.c');
      for (const name of ['$.a.%.c', '$.%.b.c', '$.%.%.%', '$.%.*', '$.a.*']) {
        await ksock.sendMsg(new Announcement('$.a.b.c'));
        expect(await ksock.numMessages()).toBe(1);
        await ksock.bind(name);
        await ksock.sendMsg(new Announcement('$.a.b.c'));
        expect(await ksock.numMessages()).toBe(3);
        await ksock.unbind(name);
        await readNames(ksock);
      }
    });

    it('A program can bind, unbind and ask about a wildcard. It can never send to one (EBADMSG).', async () => {
      const ksock = await stage.open();
      for (const name of ['$.a.*', '$.a.%', '$.*', '$.%', '$.%.a', '$.a.%.b.%.*']) {
        await ksock.bind(name, true);
        expect(await ksock.findReplier(name)).toBe(ksock.id);
        await refused(ksock.sendMsg(new Announcement(name)), 'EBADMSG');
        await ksock.unbind(name, true);
        expect(await ksock.findReplier(name)).toBeNull();
      }
    });

    it.for(MALFORMED)('%j is empty or malformed, and gets EBADMSG.', async (name) => {
      const ksock = await stage.open();
      // In a message, an empty name is a fault of the header: EINVAL (spec 1 §6.1).
      await refused(ksock.sendMsg(new Announcement(name)), name === '' ? 'EINVAL' : 'EBADMSG');
      await refused(ksock.bind(name), 'EBADMSG');
      await refused(ksock.bind(name, true), 'EBADMSG');
      await refused(ksock.unbind(name), 'EBADMSG');
    });

    it('For find-replier an empty name gets ENAMETOOLONG, and for a malformed one the answer is "nobody".', async () => {
      const ksock = await stage.open();
      await refused(ksock.findReplier(''), 'ENAMETOOLONG');
      for (const name of MALFORMED.slice(1)) expect(await ksock.findReplier(name)).toBeNull();
    });
  });
}
