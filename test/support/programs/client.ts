/**
 * A program with one Ksock, which carries out commands, one on a line: words of JSON, of which the first is a
 * call of the Ksock, or one of those below. It prints the result. Argument: the daemon's directory.
 */
import { createConnection } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { Ksock } from '../../../src/client/ksock.ts';
import { Flag } from '../../../src/message/flags.ts';
import { Announcement, Request } from '../../../src/message/message.ts';
import { socketPath } from '../../../src/system/socket-folder.ts';
import { frame, hello, messagesFrame } from '../frames.ts';

const [, , directory] = process.argv as [string, string, string];
const ksock = await Ksock.open(0, { directory });
const say = (text: string): void => console.log(text);
const loop = ksock[Symbol.asyncIterator]();

const doings: Record<string, (...words: never[]) => Promise<unknown>> = {
  bind: (name: string, replier: boolean) => ksock.bind(name, replier),
  read: async () => String(await ksock.waitForMsg()),
  /** Reads one of many messages: the others are prefetched, and not consumed. */
  readOne: async () => String((await loop.next()).value),
  /** Leaves a send waiting for a full queue. */
  wait: async (name: string) => {
    const message = new Announcement(name, 'waits', { flags: Flag.ALL_OR_WAIT });
    return ksock.sendMsg(message).catch((error: { code: string }) => error.code);
  },
  /** The same, but without ALL_OR_WAIT carried through: the Ksock is sending. */
  waitHere: async (name: string) => {
    void ksock.sendMsg(new Announcement(name, 'waits'), { wait: true });
    return ksock.numMessages();
  },
  send: async (name: string) => String(await ksock.sendMsg(new Request(name))),
  /** Sends half a frame on another connection; the rest never follows. */
  half: (name: string) =>
    new Promise((resolve) => {
      const socket = createConnection(socketPath(directory, 0));
      const call = frame('CALL', { detail: 1, token: 1, words: [1], text: name });
      const message = messagesFrame('SEND', [new Announcement('$.Half', 'x')]);
      socket.write(Buffer.concat([hello(), call, message.subarray(0, 50)]));
      // Both are answered: so the half has arrived, too, or is on its way.
      let heard = 0;
      socket.on('data', (chunk) => {
        heard += chunk.length;
        if (heard >= 44 + 20) resolve(heard);
      });
    }),
  /** Blocks the program. */
  sleep: async () => {
    setTimeout(() => {
      const until = Date.now() + 60_000;
      while (Date.now() < until);
    });
  },
};

say(`open ${ksock.id}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [doing, ...words] = JSON.parse(line) as [string, ...never[]];
  try {
    say(`${doing} ${String(await doings[doing]?.(...words))}`);
  } catch (error) {
    say(String(error));
  }
}
