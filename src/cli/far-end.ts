// The program that `kbus bench` speaks with over the bus: node far-end.js <bus> <folder> <name to answer>
// <Requests that may wait>. It ends when its parent does.
import process from 'node:process';
import { type Handling, Ksock } from '../client/index.ts';
import { KbusError } from '../message/error.ts';
import { isLast, serialOf } from './bench-data.ts';

/** What the parent tells it: listen to this name, for data of this size. */
export interface Listen {
  readonly name: string;
  readonly size: number;
  /** How many messages may wait to be read. */
  readonly maxMessages: number;
}

/** What it heard of a run. */
export interface Heard {
  readonly count: number;
  /** Serials that were passed over. */
  readonly lost: number;
  /** Messages of the wrong size, heard before, or in the wrong order. */
  readonly wrong: number;
  /** When the last of them came: `process.hrtime.bigint()`, in ns, the same clock for all. */
  readonly last: number;
}

/** What it tells its parent. */
export type FromFarEnd =
  | { ready: true }
  | { heard: Heard }
  /** Why it can't go on; and whether that is because the bus went away. */
  | { failed: string; isGone: boolean };

const tell = (message: FromFarEnd): void => {
  process.send?.(message);
};

process.on('disconnect', () => process.exit());
// Signals that all programs of a terminal get are the parent's to deal with: it ends both.
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
process.on('uncaughtException', (error: Error) => {
  const isGone = error instanceof KbusError && error.code === 'ECONNRESET';
  const failed: FromFarEnd = { failed: error.message, isGone };
  process.send?.(failed, () => process.exit(1));
});

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
    handling = await ears.listener(listen.name, hearing(listen.size));
    tell({ ready: true });
  });
  tell({ ready: true });
}

/** Checks every serial, and tells what it heard when a run ends. */
function hearing(size: number): (message: { readonly data: Uint8Array }) => void {
  let next = 1;
  let [count, lost, wrong] = [0, 0, 0];
  return ({ data }) => {
    count++;
    const serial = serialOf(data);
    if (data.length !== size || serial < next) {
      wrong++;
    } else {
      lost += serial - next;
      next = serial + 1;
    }
    if (!isLast(data)) return;
    tell({ heard: { count, lost, wrong, last: Number(process.hrtime.bigint()) } });
    [count, lost, wrong] = [0, 0, 0];
  };
}
