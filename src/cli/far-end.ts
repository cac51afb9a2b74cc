// The program at the far end of `kbus bench`: node far-end.js <bus> <folder> <name to answer> <length of the queue> [<access point>]. It
// ends with its parent.
import process from 'node:process';
import { type Handling, Ksock } from '../client/index.ts';
import { forked } from '../measure/forked.ts';
import { type Heard, hearing } from '../measure/hearing.ts';
import { KbusError } from '../message/error.ts';

/** Message of the parent: listen to this name, for data of this size in bytes. */
export interface Listen {
  readonly name: string;
  readonly size: number;
  /** Length of the queue in messages. */
  readonly maxMessages: number;
}

/** Messages to the parent. */
export type FromFarEnd =
  | { ready: true }
  | { heard: Heard }
  /** Why the program can't go on, and whether the bus has gone away. */
  | { failed: string; isGone: boolean };

const tell = forked<FromFarEnd>((error) => ({
  failed: error instanceof Error ? error.message : String(error),
  isGone: error instanceof KbusError && error.code === 'ECONNRESET',
}));

const [bus, directory = '', ask = '', waiting, access] = process.argv.slice(2);

void begin();

async function begin(): Promise<void> {
  const replier = await Ksock.open(Number(bus), { directory, access });
  await replier.setMaxMessages(Number(waiting));
  await replier.replier(ask, (request) => request.data);
  const listener = await Ksock.open(Number(bus), { directory, access });
  let handling: Handling | null = null;
  process.on('message', async (listen: Listen) => {
    await handling?.stop();
    await listener.setMaxMessages(listen.maxMessages);
    const heard = hearing({ lengths: [listen.size] }, () => tell({ heard: heard.take() }));
    handling = await listener.listener(listen.name, ({ data }) => heard.hear(data, 0, data.length));
    tell({ ready: true });
  });
  tell({ ready: true });
}
