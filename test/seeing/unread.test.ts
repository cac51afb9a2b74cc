import { describe, expect, it } from 'vitest';
import { MessageId } from '../../src/message/id.ts';
import { Known, type Sent, Unread } from '../../src/seeing/unread.ts';

/** One message of this serial number. */
const sent = (serial: number): Sent<number> => ({
  id: new MessageId(0, serial),
  time: serial,
  each: [serial],
});

describe('The unread messages of a Ksock', () => {
  it('are known up to a limit for all queues together; then the oldest of the queue that grows are forgotten', () => {
    const known = new Known();
    const [long, short] = [new Unread<number>(0, 0, known), new Unread<number>(0, 0, known)];
    short.queued(sent(1), new MessageId(0, 1), 1, 1, 1, false);
    for (let serial = 2; serial <= 300_010; serial++) {
      long.queued(sent(serial), new MessageId(0, serial), 1, 1, serial, false);
    }
    expect(known.entries).toBe(300_000);
    expect(short.oldest).toEqual({ time: 1, isAtLeast: false });
    expect(long.oldest).toEqual({ time: 0, isAtLeast: true });
    const read: number[] = [];
    for (let serial = 2; serial <= 12; serial++) {
      long.read(new MessageId(0, serial), 1, (one) => read.push(one));
    }
    // Of the first ten, it only knew that they were there.
    expect(read).toEqual([12]);
    expect(long.oldest).toEqual({ time: 13, isAtLeast: false });
    long.clear();
    short.unbound(1);
    expect(known.entries).toBe(0);
    expect([long.oldest, short.oldest]).toEqual([null, null]);
  });

  it('of several together are read in part, and in any order', () => {
    const known = new Known();
    const unread = new Unread<string>(0, 0, known);
    const batch = { id: new MessageId(0, 1), time: 1, each: ['a', 'b', 'c', 'd'] };
    unread.queued(batch, batch.id, 4, 1, 5, false);
    unread.takenBack(new MessageId(0, 2));
    const read: string[] = [];
    unread.read(new MessageId(0, 3), 1, (one) => read.push(one));
    unread.read(new MessageId(0, 1), 1, (one) => read.push(one));
    unread.read(new MessageId(0, 4), 1, (one) => read.push(one));
    expect(read).toEqual(['c', 'a', 'd']);
    expect([unread.oldest, known.entries]).toEqual([null, 0]);
  });
});
