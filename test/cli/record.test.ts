import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { McapIndexedReader } from '@mcap/core';
import { describe, expect, test } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { readAll } from '../recording/recorded.ts';
import { kbus, type Program, type Served, serve } from './kbus.ts';

const open = ({ directory }: Served): Promise<Ksock> => Ksock.open(0, { directory });

/** A file beside the sockets of the daemon. */
const file = ({ directory }: Served, name: string): string => join(dirname(directory), name);

/** `kbus record`, once it records. */
async function record(served: Served, path: string, ...args: string[]): Promise<Program> {
  const program = served.start(['record', '-o', path, ...args]);
  await program.says(/recording bus 0 to /);
  return program;
}

/** A recording of a Request and its Reply, and of some Announcements. */
async function recorded(served: Served, ...args: string[]): Promise<string> {
  const path = file(served, 'run.mcap');
  const program = await record(served, path, ...args);
  await using replier = await open(served);
  await using ksock = await open(served);
  await replier.replier('$.Ask', () => 'noon');
  await ksock.request('$.Ask', 'time?');
  for (const data of ['one', 'two']) await ksock.sendMsg(new Announcement('$.News', data));
  program.child.kill('SIGINT');
  const { code, stderr } = await program.ended;
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/^kbus: recording bus 0 to \S+\nkbus: \d+ messages, .*\d B|KiB in/),
  ]);
  return path;
}

/** Lines without their times. */
const lines = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\S+Z /, ''));

describe('kbus record', () => {
  test('--past records what the daemon has kept; with names or kinds, only those', async () => {
    const served = await serve('--history', '1MiB');
    await recorded(served);
    const past = async (...args: string[]): Promise<string[]> => {
      const path = file(served, 'past.mcap');
      const { code, stderr } = await served.kbus([
        'record',
        '-o',
        path,
        '--force',
        '--past',
        ...args,
      ]);
      expect([code, stderr.split('\n').length]).toEqual([0, 3]);
      const { stdout } = await kbus(['recording', 'show', path]);
      return lines(stdout);
    };
    const news = ["Announcement $.News 'one'", "Announcement $.News 'two'"];
    const asked = ["Request $.Ask 'time?'", "Reply $.Ask 'noon'"];
    expect(await past('1h')).toEqual([...asked, ...news]);
    expect(await past('1h', '$.News')).toEqual(news);
    expect(await past('1h', '--requests', '--announcements', '$.*')).toEqual([asked[0], ...news]);
    // What became of a message is there, too.
    const { stdout } = await kbus(['recording', 'show', '--events', file(served, 'past.mcap')]);
    expect(stdout).toMatch(/queued|read/);
  });

  test('--past says what does not go with it, and a file that exists is left alone', async () => {
    const served = await serve('--history', '1MiB');
    const path = file(served, 'is-there.mcap');
    writeFileSync(path, 'mine');
    const refused = async (...args: string[]) =>
      (await served.kbus(['record', '-o', path, '--past', '10s', ...args])).stderr;
    expect(await refused('--data', '0')).toContain('with all data: leave out --data');
    expect(await refused('--keep', '2')).toContain('leave out --rotate-size');
    expect(await refused('$.A')).toContain('the file exists already; give another one, or --force');
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  test('records until Ctrl-C, and kbus recording show prints the messages', async () => {
    const served = await serve();
    const path = await recorded(served);
    const { code, stderr, stdout } = await kbus(['recording', 'show', path]);
    expect([code, stderr]).toEqual([0, '']);
    expect(lines(stdout)).toEqual([
      "Request $.Ask 'time?'",
      "Reply $.Ask 'noon'",
      "Announcement $.News 'one'",
      "Announcement $.News 'two'",
    ]);
  });

  test('records the names and kinds that are asked for, and as much of their data', async () => {
    const served = await serve();
    const path = await recorded(served, '$.Ask', '--replies', '--data', '2');
    const { stdout } = await kbus(['recording', 'show', path]);
    expect(lines(stdout)).toEqual(["Reply $.Ask 'no' (of 4 bytes)"]);
  });

  test('ends after the time that is given, and prints what it has as JSON', async () => {
    const served = await serve();
    const path = file(served, 'timed.mcap');
    const { code, stdout } = await served.kbus(['record', '-o', path, '--for', '100ms', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ messages: 0, lostEvents: 0, files: [path] });
  });

  test('replaces no file unless it must', async () => {
    const served = await serve();
    const path = file(served, 'there.mcap');
    writeFileSync(path, 'precious');
    const refused = await served.kbus(['record', '-o', path, '--for', '10ms']);
    expect([refused.code, refused.stderr]).toEqual([
      74,
      `kbus: ${path}: the file exists already; give another one, or --force\n`,
    ]);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect((await served.kbus(['record', '-o', path, '--for', '10ms', '--force'])).code).toBe(0);
  });

  test('says what is safe when the disk is full, and ends with 74', async () => {
    const served = await serve();
    const { code, stderr } = await served.kbus([
      'record',
      '-o',
      '/dev/full',
      '--force',
      '--for',
      '1s',
    ]);
    expect(code).toBe(74);
    expect(stderr).toMatch(
      /kbus: \/dev\/full: no space left on device \(ENOSPC\)\. The recording has ended\. Safe in it: 0 messages, 0 B/,
    );
  });

  test('says how to start a daemon when there is none, and that it stopped', async () => {
    const served = await serve();
    const path = file(served, 'lost.mcap');
    const program = await record(served, path);
    await served.daemon.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    expect(code).toBe(3);
    expect(stderr).toContain('ECONNRESET (104): observe bus 0 (the daemon was stopped by SIGTERM)');
    // What was recorded is complete all the same.
    expect((await kbus(['recording', 'info', path])).stdout).toContain(', complete\n');
    const none = await served.kbus(['record', '-o', file(served, 'none.mcap')]);
    expect(none.code).toBe(3);
    expect(none.stderr).toContain('Start it in another terminal with:');
    expect(existsSync(file(served, 'none.mcap'))).toBe(false);
  });

  test('that is killed loses a second at most: what was recorded before is in the file', async () => {
    const served = await serve();
    const path = file(served, 'killed.mcap');
    const program = await record(served, path);
    await using ksock = await open(served);
    let sent = 0;
    // Until a chunk that was closed because of its age is on the disk, and has messages.
    const isThere = async (): Promise<boolean> =>
      (await readAll(path)).events.some(({ event }) => event.type === 'messages');
    while (!(await isThere())) await ksock.sendMsg(new Announcement('$.News', String(sent++)));
    await program.kill('SIGKILL');
    const { code, stderr, stdout } = await kbus(['recording', 'show', path]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/it has no end: whatever wrote it was ended|it is cut off, or damaged/);
    const numbers = lines(stdout).map((line) => Number(line.match(/'(\d+)'/)?.[1]));
    expect(numbers.length).toBeGreaterThan(0);
    expect(numbers).toEqual(numbers.map((_, at) => at));
  });
});

describe('kbus recording', () => {
  test('info says how long it is, of what, and whether it is whole', async () => {
    const served = await serve();
    const path = await recorded(served);
    const { code, stdout } = await kbus(['recording', 'info', path]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\S+run\.mcap: [\d.]+ KiB, complete\nOf bus 0, from \S+Z on, for .+\n/);
    expect(stdout).toContain('4 messages, 15 B of data: 1 Request, 1 Reply, 2 Announcements\n');
    expect(stdout).toContain(
      '\nname    messages  data\n$.Ask          2   9 B\n$.News         2   6 B\n',
    );
    const json = await kbus(['recording', 'info', path, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ complete: true, messages: 4, faults: [] });
  });

  test('show prints everything that happened, or a part of it, also as JSON', async () => {
    const served = await serve();
    const path = await recorded(served);
    const all = lines((await kbus(['recording', 'show', path, '--events'])).stdout);
    expect(all).toContain('Request [0:1] of Ksock 2 answered by Ksock 1');
    expect(all).toContain('[0:1] read by Ksock 1: 0 unread');
    expect(all.at(0)).toBe('the state of bus 0:');
    const news = await kbus(['recording', 'show', path, '$.News', '--json']);
    const [first] = news.stdout.split('\n');
    expect(JSON.parse(first as string)).toMatchObject({
      type: 'messages',
      kind: 'Announcement',
      name: '$.News',
      data: 'one',
      from: 2,
    });
    expect((await kbus(['recording', 'show', path, '--from', '1h'])).stdout).toBe('');
    expect((await kbus(['recording', 'show', path, '--to', '2001-01-01T00:00:00Z'])).stdout).toBe(
      '',
    );
    expect(lines((await kbus(['recording', 'show', path, '--requests'])).stdout)).toEqual([
      "Request $.Ask 'time?'",
    ]);
  });

  test('filter writes a part, and merge puts recordings together again', async () => {
    const served = await serve();
    const path = await recorded(served);
    const [ask, news, both] = ['ask.mcap', 'news.mcap', 'both.mcap'].map((one) =>
      file(served, one),
    );
    for (const [name, to] of [
      ['$.Ask', ask],
      ['$.News', news],
    ] as const) {
      const { code, stderr } = await kbus(['recording', 'filter', path, name, '-o', to as string]);
      expect([code, stderr]).toEqual([
        0,
        expect.stringMatching(/^kbus: wrote 2 messages, \d+ events/),
      ]);
    }
    const merged = await kbus([
      'recording',
      'merge',
      ask as string,
      news as string,
      '-o',
      both as string,
    ]);
    expect(merged.stderr).toMatch(/^kbus: wrote 4 messages/);
    const show = async (one: string): Promise<string> =>
      (await kbus(['recording', 'show', one])).stdout;
    expect(await show(both as string)).toBe(await show(path));
    const same = await kbus(['recording', 'filter', path, '-o', path, '--force']);
    expect([same.code, same.stderr]).toEqual([
      2,
      `kbus: ${path} is read and written at once; give another --output\n`,
    ]);
  });

  test('export writes JSON lines, and packets', async () => {
    const served = await serve();
    const path = await recorded(served);
    const [json, packets] = ['run.jsonl', 'run.pcapng'].map((one) => file(served, one)) as [
      string,
      string,
    ];
    expect((await kbus(['recording', 'export', path, '-o', json])).code).toBe(0);
    const events = readFileSync(json, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.filter(({ type }) => type === 'messages').map(({ name }) => name)).toEqual([
      '$.Ask',
      '$.Ask',
      '$.News',
      '$.News',
    ]);
    expect(events[0]).toMatchObject({ type: 'begin', bus: 0 });
    expect(
      (await kbus(['recording', 'export', path, '--format', 'pcapng', '-o', packets])).code,
    ).toBe(0);
    const bytes = readFileSync(packets);
    let count = 0;
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 4)) {
      // Each block ends with its length.
      const length = bytes.readUInt32LE(at + 4);
      expect(bytes.readUInt32LE(at + length - 4)).toBe(length);
      if (bytes.readUInt32LE(at) === 6) count++;
    }
    expect(count).toBe(events.length);
  });

  test('export writes messages as JSON with a schema, which viewers of MCAP show', async () => {
    const served = await serve();
    const path = await recorded(served);
    const to = file(served, 'viewer.mcap');
    expect((await kbus(['recording', 'export', path, '--format', 'json', '-o', to])).code).toBe(0);
    const bytes = readFileSync(to);
    const reader = await McapIndexedReader.Initialize({
      readable: {
        size: async () => BigInt(bytes.length),
        read: async (from, length) => bytes.subarray(Number(from), Number(from + length)),
      },
    });
    const all: unknown[] = [];
    for await (const { channelId, data } of reader.readMessages()) {
      const channel = reader.channelsById.get(channelId);
      const schema = reader.schemasById.get(channel?.schemaId ?? 0);
      expect([channel?.messageEncoding, schema?.encoding]).toEqual(['json', 'jsonschema']);
      const { properties } = JSON.parse(Buffer.from(schema?.data ?? []).toString());
      const message = JSON.parse(Buffer.from(data).toString());
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(['kind', 'name', 'data']));
      all.push([channel?.topic, message.kind, message.data]);
    }
    expect(all).toEqual([
      ['$.Ask', 'Request', 'time?'],
      ['$.Ask', 'Reply', 'noon'],
      ['$.News', 'Announcement', 'one'],
      ['$.News', 'Announcement', 'two'],
    ]);
  });

  test('reads a file that was cut off, and refuses one that is no recording', async () => {
    const served = await serve();
    const path = await recorded(served);
    truncateSync(path, statSync(path).size - 100);
    const { code, stdout } = await kbus(['recording', 'info', path]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('4 messages')]);
    for (const [bytes, why] of [
      ['', 'it is empty'],
      ['#!/bin/sh\n', 'it does not begin with the bytes of MCAP'],
    ] as const) {
      writeFileSync(path, bytes);
      const refused = await kbus(['recording', 'show', path]);
      expect([refused.code, refused.stderr]).toEqual([
        74,
        `kbus: ${path}: this is no recording: ${why}\n`,
      ]);
    }
    const gone = await kbus(['recording', 'info', `${path}.gone`]);
    expect(gone.stderr).toBe(`kbus: ${path}.gone: no such file or directory (ENOENT)\n`);
  });
});
