import { describe, expect, it } from 'vitest';
import { Lent, LentRun } from '../../src/client/lent.ts';
import { BorrowedMessage } from '../../src/message/borrowed.ts';
import { Head } from '../../src/message/head.ts';
import { Message } from '../../src/message/message.ts';

const run = (from: number, count: number): LentRun =>
  new LentRun(new Head('$.run', 0), from, new Uint8Array(4 * count), 0, 4, count);

const told = ({ name, idSerial }: Message | BorrowedMessage): string | number =>
  name === '$.run' ? idSerial : name;

/** What is handed until nothing is left: names of messages, serials of those of runs. */
function* handed(lent: Lent): Generator<string | number> {
  for (let message = lent.take(); message !== null; message = lent.take()) yield told(message);
}

/** The same, shown by a borrowed message. */
function* shown(lent: Lent): Generator<string | number> {
  const borrowed = new BorrowedMessage();
  while (lent.show(borrowed)) yield told(borrowed);
}

/** The same, by turns. */
function* mixed(lent: Lent): Generator<string | number> {
  const borrowed = new BorrowedMessage();
  while (lent.show(borrowed)) {
    yield told(borrowed);
    const message = lent.take();
    if (message !== null) yield told(message);
  }
}

describe.each([handed, shown, mixed])('What is lent, %o,', (read) => {
  it('messages and runs are handed in the order in which they were lent.', () => {
    const lent = new Lent();
    lent.push(new Message('$.a'));
    lent.pushRun(run(1, 2));
    lent.push(new Message('$.b'));
    lent.pushRun(run(7, 1));
    expect(lent.length).toBe(5);
    expect([...read(lent)]).toEqual(['$.a', 1, 2, '$.b', 7]);
    expect(lent.length).toBe(0);
  });

  it('an urgent message is handed before the rest of a run.', () => {
    const lent = new Lent();
    lent.pushRun(run(1, 3));
    lent.push(new Message('$.b'));
    expect(lent.take()?.idSerial).toBe(1);
    lent.pushFirst(new Message('$.urgent'));
    lent.pushFirst(new Message('$.later.urgent'));
    expect(lent.length).toBe(5);
    expect([...read(lent)]).toEqual(['$.later.urgent', '$.urgent', 2, 3, '$.b']);
  });

  it('nothing of a run is handed after all was given back.', () => {
    const lent = new Lent();
    lent.pushRun(run(1, 3));
    lent.take();
    lent.clear();
    expect(lent.length).toBe(0);
    expect(lent.take()).toBeNull();
    lent.push(new Message('$.a'));
    expect([...read(lent)]).toEqual(['$.a']);
  });
});
