// The program that `kbus bench` speaks with over the bus: node far-end.js <bus> <folder> <name to answer>
// <Requests that may wait>. It ends when its parent does.
import process from 'node:process';
import { type Handling, Ksock } from '../client/index.ts';
import { forked } from '../measure/forked.ts';
import { type Heard, hearing } from '../measure/hearing.ts';
import { KbusError } from '../message/error.ts';

/** What the parent tells it: listen to this name, for data of this size. */
export interface Listen {
  readonly name: string;
  readonly size: number;
  /** How many messages may wait to be read. */
  readonly maxMessages: number;
}

/** What it tells its parent. */
export type FromFarEnd =
  | { ready: true }
  | { heard: Heard }
  /** Why it can't go on; and whether that is because the bus went away. */
  | { failed: string; isGone: boolean };

const tell = forked<FromFarEnd>((error) => ({
  failed: error instanceof Error ? error.message : String(error),
  isGone: error instanceof KbusError && error.code === 'ECONNRESET',
}));

const [bus, directory = '', ask = '', waiting] = process.argv.slice(2);

void begin();

async function begin(): Promise<void> {
  const mouth = await Ksock.open(Number(bus), { directory });
  await mouth.setMaxMessages(Number(waiting));
  await mouth.replier(ask, (request) => request.data);
  const ears = await Ksock.open(Number(bus), { directory });
  let handling: Handling | null = null;
  process.on('message', async (listen: Listen) => {
    await handling?.stop();
    await ears.setMaxMessages(listen.maxMessages);
    const ear = hearing({ lengths: [listen.size] }, () => tell({ heard: ear.take() }));
    handling = await ears.listener(listen.name, ({ data }) => ear.hear(data, 0, data.length));
    tell({ ready: true });
  });
  tell({ ready: true });
}
