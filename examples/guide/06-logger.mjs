// A logger that misses nothing, or says what it has missed. It writes many messages at once.
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Announcement, Ksock } from 'kbus';

const folder = await mkdtemp(join(tmpdir(), 'logger-'));
const file = join(folder, 'log.jsonl');

let missed = 0;
const logger = await Ksock.open(0, {
  name: 'logger',
  reconnect: true,
  onMissed: ({ count }) => {
    missed += count;
  },
});
await logger.setMaxMessages(100_000); // the longest time that the disk may take, times the rate
await logger.wantMessagesOnce(true);
await logger.bind('$.*');

// What the logger has read while it waited for the disk goes to the disk in one piece.
const written = (async () => {
  for (let more = true; more; ) {
    const first = await logger.waitForMsg();
    const lines = [];
    for (let message = first; message !== null; message = await logger.readNextMsg()) {
      if (message.name === '$.Logger.Stop') more = false;
      lines.push(`${JSON.stringify(message)}\n`);
    }
    if (missed > 0) lines.push(`${JSON.stringify({ missed })}\n`);
    missed = 0;
    await appendFile(file, lines.join(''));
  }
})();

const sensor = await Ksock.open(0, { name: 'sensor' });
for (let i = 0; i < 5000; i++) await sensor.post(new Announcement('$.Room.Temp', String(i)));
await sensor.sendMsg(new Announcement('$.Logger.Stop'));
await written;

const log = (await readFile(file, 'utf8')).trimEnd().split('\n');
console.log(`${log.length} lines`);
console.log(log[0]);
await rm(folder, { recursive: true });
await Promise.all([logger.close(), sensor.close()]);
