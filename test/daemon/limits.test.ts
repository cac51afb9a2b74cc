import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/index.ts';
import { MAX_SILENT_CONNECTIONS } from '../../src/daemon/newcomers.ts';
import { Announcement } from '../../src/message/message.ts';
import type { FrameKind } from '../../src/wire/protocol.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { frame, framesOf, frameText, hello } from '../support/frames.ts';
import { refused } from '../support/refused.ts';

let local: LocalDaemon;
afterEach(() => local.stop());

/** All that the daemon says to one who says these bytes; it ends when the daemon ends it. */
async function heardBy(bytes: Uint8Array): Promise<string[]> {
  const socket = createConnection(local.daemon.path(0));
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return framesOf(Buffer.concat(heard)).frames.map((one) =>
    one.kind === ('FAREWELL' satisfies keyof typeof FrameKind)
      ? `FAREWELL ${one.words[0]} ${frameText(one, 1)}`
      : one.kind,
  );
}

describe('the connections of a daemon', () => {
  it('are refused beyond the limit, with ENOMEM and the limit’s name, without harm to others', async () => {
    local = await LocalDaemon.start({}, { maxConnections: 2 });
    const [one, other] = [await local.open(), await local.open()];
    const error = await refused(local.open(), 'ENOMEM');
    expect(error.message).toContain('max-connections of the daemon is 2');
    await one.bind('$.A');
    await other.close();
    // The connection of a Ksock that has left goes away a moment later.
    let third: Ksock | null = null;
    while (third === null) {
      third = await local.open().catch((error) => {
        expect(error.code).toBe('ENOMEM');
        return null;
      });
    }
    expect(await third.findReplier('$.A')).toBeNull();
  });

  it('that send nothing, or half a HELLO, are ended after the timeout, with the reason', async () => {
    local = await LocalDaemon.start({}, { helloTimeout: 0.05 });
    const ksock = await local.open();
    const told =
      'FAREWELL 110 the client sent no HELLO within 0.05 s, the hello-timeout of the daemon';
    const all = [new Uint8Array(0), hello().subarray(0, 20)].map(heardBy);
    expect(await Promise.all(all)).toEqual([[told], [told]]);
    // Who has said it is not asked again.
    expect(await ksock.numMessages()).toBe(0);
    expect((await ksock.stats()).ksocks).toHaveLength(1);
  });

  it('of one program that opens many at once are all welcome', async () => {
    local = await LocalDaemon.start();
    const many = 2 * MAX_SILENT_CONNECTIONS;
    const opened = await Promise.all(Array.from({ length: many }, () => local.open()));
    expect(new Set(opened.map(({ id }) => id)).size).toBe(many);
  });

  it('that have too many waiting calls are ended, with the limit', async () => {
    local = await LocalDaemon.start();
    const takes = Array.from({ length: 65_537 }, (_, token) => frame('TAKE', { detail: 1, token }));
    const heard = await heardBy(Buffer.concat([hello(), ...takes]));
    expect(heard).toEqual([
      'WELCOME',
      'FAREWELL 71 a connection may have at most 65536 waiting calls',
    ]);
  });

  it('that break the protocol get the reason, even behind a large backlog.', async () => {
    local = await LocalDaemon.start();
    const sender = await local.open();
    const socket = createConnection(local.daemon.path(0));
    socket.write(
      Buffer.concat([
        hello(),
        frame('CALL', { detail: 1, words: [0], text: '$.News' }),
        frame('CREDIT', { words: [100] }),
      ]),
    );
    while ((await sender.readBindings()).length === 0);
    socket.pause();
    for (let count = 0; count < 15; count++) {
      await sender.sendMsg(new Announcement('$.News', new Uint8Array(50_000)));
    }
    socket.write(frame('TAKE'));
    while ((await sender.stats()).ksocks.length > 1);
    const heard: Buffer[] = [];
    socket.on('data', (chunk) => heard.push(chunk));
    socket.resume();
    await once(socket, 'close');
    const { frames } = framesOf(Buffer.concat(heard));
    expect(frames.filter(({ kind }) => kind === 'PREFETCH')).toHaveLength(15);
    expect(frames.at(-1)?.kind).toBe('FAREWELL');
  });
});
