import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  BUS_DEFAULTS,
  DEVICE_MAX_MESSAGES,
  MAX_BUSES,
  MIN_MESSAGE_SIZE,
} from '../../src/bus/settings.ts';
import { Ioctl } from '../../src/device/ioctl.ts';
import { replierBindEventData, splitReplierBindEventData } from '../../src/message/bind-event.ts';
import {
  END_GUARD,
  entireLength,
  HEADER_LENGTH,
  OFFSET,
  START_GUARD,
} from '../../src/message/codec/device.ts';
import { Errno, type ErrorCode } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Message, REPLIER_BIND_EVENT, Request } from '../../src/message/message.ts';
import { MAX_NAME } from '../../src/message/name.ts';
import { section, tableRows } from './sections.ts';

/** The numbers that a cell begins with: `4, 8`. */
const numbers = (cell = ''): number[] => (/^[\d, ]+/.exec(cell)?.[0] ?? '').split(',').map(Number);

describe('the tables of the specification say what the code does', () => {
  it('spec 1 §4.2: the flags.', () => {
    const flags = tableRows(1, '4.2').map(([flag = '', bit = '']) => {
      const [one, places] = bit.split('<<').map(Number);
      return [flag, (one ?? 0) << (places ?? 0)];
    });
    expect(Object.fromEntries(flags)).toEqual(Flag);
  });

  it('spec 1 §4.4: the size of a message.', () => {
    const formula = `88 + 4·⌈(name_len+1)/4⌉ + 4·⌈data_len/4⌉ + 4`;
    expect(section(1, '4.4')).toContain(formula);
    for (let length = 1; length < 10; length++) {
      expect(entireLength(length, length)).toBe(
        88 + 4 * Math.ceil((length + 1) / 4) + 4 * Math.ceil(length / 4) + 4,
      );
    }
  });

  it('spec 1 §12.1: the numbers of errors.', () => {
    const rows = tableRows(1, '12.1').map(([code = '', number]) => [
      code.split(' ')[0],
      Number(number),
    ]);
    expect(rows).toHaveLength(18);
    for (const [code, number] of rows)
      expect([code, Errno[code as ErrorCode]]).toEqual([code, number]);
  });

  it('spec 2 §2: the header, and its guards.', () => {
    const { startGuard, endGuard, ...offsets } = OFFSET;
    const snake = (name: string): string =>
      ({
        nameLength: 'name_len',
        dataLength: 'data_len',
        namePointer: 'name',
        dataPointer: 'data',
      })[name] ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const rows = tableRows(2, '2');
    const at = new Map(
      rows.map(([offset, , field = '']) => [/^\w+( guard)?/.exec(field)?.[0], numbers(offset)[0]]),
    );
    for (const [name, offset] of Object.entries(offsets)) {
      expect([name, at.get(snake(name))]).toEqual([name, offset]);
    }
    expect([at.get('start guard'), at.get('end guard')]).toEqual([startGuard, endGuard]);
    const guards = [...section(2, '2').matchAll(/0x[0-9A-F]{8}/g)].map(Number);
    expect(guards).toEqual([START_GUARD, END_GUARD]);
    // Each byte belongs to one row, and the last row ends with the header.
    const width = (type = ''): number => (type.startsWith('u32') || type === '–' ? 4 : 8);
    const bytes = rows.flatMap(([offset, type]) =>
      numbers(offset).flatMap((from) =>
        Array.from({ length: width(type) }, (_, byte) => from + byte),
      ),
    );
    expect(bytes).toEqual(Array.from({ length: HEADER_LENGTH }, (_, byte) => byte));
    expect(section(2, '2')).toContain(`It has ${HEADER_LENGTH} bytes.`);
  });

  it('spec 2 §5.1: the ioctls.', () => {
    const directions: Record<string, number> = { '–': 0, W: 1, R: 2, RW: 3 };
    const calls = tableRows(2, '5.1').map(([number, name, direction = '']) => {
      const bits = directions[direction] ?? Number.NaN;
      const size = bits === 0 ? 0 : 8;
      return [name, bits * 2 ** 30 + size * 2 ** 16 + 'k'.charCodeAt(0) * 2 ** 8 + Number(number)];
    });
    expect(Object.fromEntries(calls)).toEqual(Ioctl);
    const examples = [...section(2, '5.1').matchAll(/(\w+) = (0x[0-9A-F]{8})/g)];
    expect(examples).toHaveLength(3);
    for (const [, name = '', value] of examples) {
      expect([name, Ioctl[name as keyof typeof Ioctl]]).toEqual([name, Number(value)]);
    }
  });

  it('spec 2 §7: the data of a ReplierBindEvent.', () => {
    const rows = tableRows(2, '7').map(([offset, , field = '']) => [
      Number(offset),
      /^[\w ]+/.exec(field)?.[0],
    ]);
    expect(rows).toEqual([
      [0, 'is_bind'],
      [4, 'binder'],
      [8, 'name_len'],
      [12, 'the name'],
    ]);
    const words = new Uint8Array(new Uint32Array([1, 7, 6]).buffer);
    const data = Buffer.concat([words, Buffer.from('$.Fred\0\0')]);
    expect(splitReplierBindEventData(data)).toEqual({ isBind: true, binder: 7, name: '$.Fred' });
  });

  it('spec 4 §2: what messages print as.', () => {
    const request = new Request('$.Actor.Ask.Guildenstern', 'Were you speaking to me?', {
      id: new MessageId(0, 6),
      from: 1,
      flags: Flag.WANT_YOU_TO_REPLY,
    });
    const event = new Message(
      REPLIER_BIND_EVENT,
      replierBindEventData({ isBind: true, binder: 2, name: '$.Fred' }),
      { id: new MessageId(0, 3), flags: Flag.SYNTHETIC | Flag.ALL_OR_FAIL },
    );
    for (const message of [request, event]) expect(section(4, '2.1')).toContain(`\`${message}\``);
    const spoken = new Message('$.Actor.Speak', 'Ahem', { id: new MessageId(0, 2), from: 1 });
    expect(section(4, '2.2')).toContain(`\`${inspect(spoken)}\``);
  });

  it.for([
    [1, '1', `there are at most ${MAX_BUSES}`],
    [1, '2.1', `A name has 3 to ${MAX_NAME} bytes.`],
    [1, '2.3', `A name of more than ${MAX_NAME} bytes`],
    [2, '4.1', `name_len > ${MAX_NAME}`],
    [1, '5.1', `The default limit is ${DEVICE_MAX_MESSAGES};`],
    [4, '4.3', `a queue of ${DEVICE_MAX_MESSAGES} messages`],
    [4, '4.3', `a queue of ${BUS_DEFAULTS.maxMessages.toLocaleString('en')} messages`],
    [1, '10.1', `A value under ${MIN_MESSAGE_SIZE} or over that maximum`],
    [1, '10.1', `There are at most ${MAX_BUSES};`],
    [1, '10.2', `both are ${BUS_DEFAULTS.maxMessageSize / 2 ** 20} MiB`],
    [1, '10.2', `both are ${BUS_DEFAULTS.absoluteMaxMessageSize / 2 ** 20} MiB`],
  ] as const)('document %i, %s: %s', ([document, number, says]) => {
    expect(section(document, number)).toContain(says);
  });
});
