// Measures device files beside the sockets of the same daemon: node bench/device.mjs. Prints
// a table. The programs at the device are in C, as real ones are; those at the sockets use Node.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Announcement, Ksock } from '../dist/index.js';
import { ended, Latency } from '../dist/measure/index.js';
import { machine } from '../harness/machine.mjs';
import { Daemon } from '../harness/serve.mjs';
import { run } from './command.mjs';
import { ASK, TELL } from './systems/kbus.mjs';

const self = fileURLToPath(import.meta.url);
const SIZE = 64;
const QUEUE = 1000;
const CALLS = 20_000;
const MESSAGES = 50_000;

/** Does the work of the C program over a socket. @param {string} what @param {string} directory @param {number} count */
async function overSocket(what, directory, count) {
  const ksock = await Ksock.open(0, { directory });
  const data = Buffer.alloc(SIZE);
  /** @param {() => Promise<unknown>} act */
  const timed = async (act) => {
    const latency = new Latency();
    for (let at = 0; at < count; at++) {
      const start = performance.now();
      await act();
      latency.record(start);
    }
    console.log([50, 99].map((percent) => latency.percentile(percent) * 1000).join(' '));
    await ksock.close();
  };
  if (what === 'ioctl') await timed(() => ksock.numMessages());
  if (what === 'send') await timed(() => ksock.sendMsg(new Announcement('$.Bench.Nobody', data)));
  if (what === 'ask') await timed(() => ksock.request(ASK, data));
  if (what === 'answer') {
    await ksock.replier(ASK, (request) => request.data);
    console.log('ready');
  }
  if (what === 'listen') {
    await ksock.setMaxMessages(QUEUE);
    let got = 0;
    let start = 0n;
    await ksock.listener(TELL, () => {
      if (++got === 1) start = process.hrtime.bigint();
      if (got < count) return;
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      console.log(((count - 1) / seconds).toFixed(0));
      void ksock.close();
    });
    console.log('ready');
  }
  if (what === 'tell') {
    for (let at = 0; at < count; at++)
      await ksock.post(new Announcement(TELL, data), { wait: true });
    await ksock.flush();
    await ksock.close();
  }
}

/** A program whose output is read line by line. @param {string[]} command */
function start([file = '', ...words]) {
  const child = spawn(file, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    /** @returns {Promise<string>} */
    async line() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${file} ${words.join(' ')} exited too early`);
      return value;
    },
  };
}

/**
 * The measurements: each is a figure of one program or two.
 * @param {(what: string, count: number) => string[]} command
 */
async function measure(command) {
  const calls = [];
  for (const what of ['ioctl', 'send']) calls.push(await start(command(what, CALLS)).line());
  const replier = start(command('answer', 1));
  await replier.line();
  calls.push(await start(command('ask', CALLS)).line());
  replier.child.kill();
  await ended(replier.child);
  const listener = start(command('listen', MESSAGES));
  await listener.line();
  const sender = start(command('tell', MESSAGES));
  const rate = await listener.line();
  await ended(sender.child);
  const micro = calls.map((line) => line.split(' ').map((ns) => (Number(ns) / 1000).toFixed(0)));
  return [
    ...micro.map(([median, worst]) => `${median} (${worst})`),
    Number(rate).toLocaleString('en'),
  ];
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-'));
  const program = join(folder, 'program');
  const source = fileURLToPath(new URL('programs/device.c', import.meta.url));
  const { status } = spawnSync('cc', ['-O2', '-o', program, source], { stdio: 'inherit' });
  if (status !== 0) throw new Error('cannot build the C programs: install cc');
  const [directory, device] = [join(folder, 'sockets'), join(folder, 'dev')];
  const daemon = new Daemon(directory, ['--device', device]);
  try {
    await daemon.serving;
    if (!daemon.log.includes('as files in')) {
      throw new Error(`this machine has no device: ${daemon.log}`);
    }
    const file = join(device, 'kbus0');
    const byFile = await measure((what, count) => [program, what, file, String(count)]);
    const bySocket = await measure((what, count) => [
      process.execPath,
      self,
      what,
      directory,
      String(count),
    ]);
    const titles = [
      'one ioctl, or call',
      'write and SEND, or sendMsg',
      'request and reply',
      'messages/s, one to one',
    ];
    const units = [...Array(3).fill(', µs: median (99 %)'), ''];
    console.log(`${JSON.stringify(machine(process.versions.node))}, ${SIZE} bytes of data\n`);
    console.log('| | device, C programs | Unix socket, Node programs |\n| --- | ---: | ---: |');
    for (const [at, title] of titles.entries()) {
      console.log(`| ${title}${units[at]} | ${byFile[at]} | ${bySocket[at]} |`);
    }
  } finally {
    await daemon.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const [what, directory, count] = process.argv.slice(2);
if (what !== undefined && directory !== undefined) {
  await overSocket(what, directory, Number(count));
} else {
  await run('device', main);
}
