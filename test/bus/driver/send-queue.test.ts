import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bus, type BusKsock, MessageBatch, SendQueue } from '../../../src/bus/index.ts';
import { Flag } from '../../../src/message/flags.ts';
import { holds } from '../../model/property.ts';
import { outcome, type Program, stage } from '../program.ts';

const { ALL_OR_WAIT } = Flag;

/** A driver whose callers wait for their sends. */
class Sender {
  readonly ksock: BusKsock;
  readonly sends: SendQueue;
  /** The outcomes of pending sends: `token outcome`. */
  readonly done: string[] = [];
  private nextToken = 1;
  /** The outcome of the current send, if it is known. */
  private told: string | null = null;
  private submitting = 0;

  constructor(bus: Bus) {
    this.ksock = bus.open({
      queued: () => {},
      answered: () => {},
      roomMade: () => this.sends.retry(),
    });
    this.sends = new SendQueue(this.ksock, (batch, result) => {
      if (batch.token === this.submitting) this.told = outcome(result);
      else this.done.push(`${batch.token} ${outcome(result)}`);
    });
  }

  /** Makes a send that may wait; gives its outcome, or `pending`. */
  submit(name: string, { flags = ALL_OR_WAIT, waits = true, data = '' } = {}): string {
    const bytes = Buffer.from(data);
    const batch = new MessageBatch(name, flags, 0, bytes, 0, bytes.length);
    batch.token = this.nextToken++;
    batch.waits = waits;
    this.submitting = batch.token;
    this.told = null;
    this.sends.submit(batch);
    this.submitting = 0;
    return this.told ?? 'pending';
  }
}

/** A sender, and a listener whose queue is full with `0`. */
function full(limit = 1): { sender: Sender; listener: Program; bus: Bus } {
  const { bus, program } = stage();
  const listener = program({ limit }).listen('$.A');
  for (let count = 0; count < limit; count++) listener.announce('$.A', { data: '0' });
  return { bus, listener, sender: new Sender(bus) };
}

describe('the sends of a Ksock', () => {
  it('are done at once while none must wait', () => {
    const { program, bus } = stage();
    const listener = program().listen('$.A');
    const sender = new Sender(bus);
    expect(sender.submit('$.A')).toBe('ok');
    expect(sender.submit('no name')).toBe('EBADMSG');
    expect(sender.sends.pending).toBe(0);
    expect(listener.rest()).toHaveLength(1);
    expect(sender.done).toEqual([]);
  });

  it('queue behind one that waits, and go in their order when a slot is free', () => {
    const { sender, listener } = full();
    for (const data of ['1', '2', '3']) {
      expect(sender.submit('$.A', { data })).toBe('pending');
    }
    // Sends that could be done, or could be refused, don't overtake either.
    expect(sender.submit('$.B')).toBe('pending');
    expect(sender.submit('no name')).toBe('pending');
    expect(sender.sends.pending).toBe(5);
    expect(sender.done).toEqual([]);
    const read: string[] = [];
    for (let count = 0; count < 4; count++) read.push(listener.next().data);
    expect(read).toEqual(['0', '1', '2', '3']);
    expect(sender.done).toEqual(['1 ok', '2 ok', '3 ok', '4 ok', '5 EBADMSG']);
    expect(sender.sends.pending).toBe(0);
  });

  it('that must not wait fail with EAGAIN, and leave the Ksock sending as at the device', () => {
    const { sender, listener } = full();
    expect(sender.submit('$.A', { waits: false })).toBe('EAGAIN');
    expect(sender.submit('$.A')).toBe('EALREADY');
    expect(sender.sends.pending).toBe(0);
    listener.next();
    // No send waits, so only the program itself retries.
    expect(sender.ksock.isSending).toBe(true);
    sender.sends.discard();
    expect(sender.submit('$.A')).toBe('ok');
  });

  it('that must not wait, behind one that does, get their outcome in their turn', () => {
    const { sender, listener } = full();
    sender.submit('$.A');
    expect(sender.submit('$.A', { waits: false })).toBe('pending');
    expect(sender.submit('$.A', { flags: 0 })).toBe('pending');
    listener.next();
    expect(sender.done).toEqual(['1 ok', '2 EAGAIN', '3 EALREADY']);
    expect(sender.ksock.isSending).toBe(true);
  });

  it('can be cancelled: the one that waits, and any behind it', () => {
    const { sender, listener } = full();
    for (const data of ['1', '2', '3', '4']) sender.submit('$.A', { data });
    expect(sender.sends.cancel(3)).toBe(true);
    expect(sender.sends.cancel(3)).toBe(false);
    expect(sender.sends.cancel(1)).toBe(true);
    expect(sender.done).toEqual(['3 ECANCELED', '1 ECANCELED']);
    expect(sender.sends.pending).toBe(2);
    sender.sends.discard();
    expect(sender.done).toEqual(['3 ECANCELED', '1 ECANCELED', '2 ECANCELED']);
    expect([listener.next(), listener.next()].map(({ data }) => data)).toEqual(['0', '4']);
    expect(sender.sends.pending).toBe(0);
  });

  it('that can never succeed are refused, and the next one has its turn', () => {
    const { bus, program } = stage();
    const replier = program({ limit: 1 }).answer('$.A');
    const listener = program().listen('$.B');
    program().request('$.A');
    const sender = new Sender(bus);
    expect(sender.submit('$.A', { flags: ALL_OR_WAIT | Flag.WANT_A_REPLY })).toBe('pending');
    expect(sender.submit('$.B')).toBe('pending');
    replier.close();
    expect(sender.done).toEqual(['1 EADDRNOTAVAIL', '2 ok']);
    expect(listener.rest()).toHaveLength(1);
    // The errno is the answer, so there is no Status.
    expect(sender.ksock.numMessages).toBe(0);
  });

  it('keep their order in long queues', () => {
    const { sender, listener } = full();
    const count = 2500;
    for (let number = 1; number <= count; number++) sender.submit('$.A', { data: `${number}` });
    const read: number[] = [];
    for (let number = 0; number <= count; number++) {
      read.push(Number(listener.next().data));
      // Some are cancelled on the way.
      if (number === 1500) expect(sender.sends.cancel(1600)).toBe(true);
      if (number === 1600) break;
    }
    expect(read).toEqual([...Array(1600).keys(), 1601]);
    expect(sender.sends.pending).toBe(count - 1601 - 1);
  });

  it('of many Ksocks that wait for many queues are all done, in the order of each Ksock', () => {
    const names = ['$.A', '$.B', '$.A.B'];
    const bound = fc.array(fc.constantFrom(...names, '$.A.*', '$.*'), { maxLength: 3 });
    const step = fc.oneof(
      fc.record({ sender: fc.nat(2), name: fc.constantFrom(...names) }),
      fc.record({ reader: fc.nat(2) }),
    );
    holds(
      fc.property(
        fc.array(bound, { minLength: 3, maxLength: 3 }),
        fc.array(step, { maxLength: 80, size: 'max' }),
        (bindings, steps) => {
          const { bus, program } = stage({ maxMessages: 2 });
          const senders = [0, 1, 2].map(() => new Sender(bus));
          const readers = bindings.map((all) => program().listen(...all));
          const heard: string[][] = readers.map(() => []);
          const sent: string[][] = senders.map(() => []);
          let pending = 0;
          for (const each of steps) {
            if ('reader' in each) {
              const message = readers[each.reader]?.read();
              if (message !== undefined) heard[each.reader]?.push(message.data);
              continue;
            }
            const data = `${each.sender} ${sent[each.sender]?.length} ${each.name}`;
            sent[each.sender]?.push(data);
            if (senders[each.sender]?.submit(each.name, { data }) === 'pending') pending++;
          }
          for (let left = true; left; ) {
            left = false;
            readers.forEach((reader, at) => {
              const message = reader.read();
              if (message === undefined) return;
              left = true;
              heard[at]?.push(message.data);
            });
          }
          expect(senders.map(({ sends }) => sends.pending)).toEqual([0, 0, 0]);
          const done = senders.flatMap((sender) => sender.done);
          expect(done).toHaveLength(pending);
          expect(done.every((told) => told.endsWith(' ok'))).toBe(true);
          bindings.forEach((all, at) => {
            sent.forEach((messages, sender) => {
              const wanted = messages.flatMap((data) => {
                const name = data.split(' ')[2] as string;
                return all.filter((b) => bindingTakes(b, name)).map(() => data);
              });
              expect(heard[at]?.filter((data) => data.startsWith(`${sender} `))).toEqual(wanted);
            });
          });
        },
      ),
    );
  });
});

function bindingTakes(bindingName: string, name: string): boolean {
  return bindingName.endsWith('*')
    ? name.startsWith(bindingName.slice(0, -1))
    : bindingName === name;
}
