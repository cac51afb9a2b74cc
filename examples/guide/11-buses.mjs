// Two buses, as on two machines: the house, and the boiler's. Two Limpets join them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Announcement, Bus, Ksock } from 'kbus';
import { Limpet } from 'kbus/limpet';

const folder = await mkdtemp(join(tmpdir(), 'house-'));
const path = join(folder, 'link.sock'); // between machines: host:port, and a key

const [house, boilers] = [new Bus(), new Bus()];
const boiler = await Ksock.open(boilers, { name: 'boiler' });
await boiler.replier('$.Boiler.Get', () => '63 °C');

// A panel that wants to know when the boiler is there.
const panel = await Ksock.open(house, { name: 'panel' });
await panel.reportReplierBinds(true);
await panel.bind('$.KBUS.ReplierBindEvent');

const limpets = [
  new Limpet({ id: 1, bus: house, links: [{ server: path }] }),
  new Limpet({ id: 2, bus: boilers, links: [{ client: path, out: ['$.Boiler.*'] }] }),
];
for (const limpet of limpets) await limpet.start();
while ((await panel.findReplier('$.Boiler.Get')) === null) await panel.waitForMsg();

const reply = await panel.request('$.Boiler.Get');
console.log(`the boiler has ${reply.text()}`);

// Announcements cross, too; `out` keeps the others on their own bus.
await panel.unbind('$.KBUS.ReplierBindEvent');
await panel.bind('$.*');
await boiler.sendMsg(new Announcement('$.Private.Diary', 'nobody but me'));
await boiler.sendMsg(new Announcement('$.Boiler.Alarm', 'low pressure'));
const message = await panel.waitForMsg();
console.log(`${message?.name}: ${message?.text()}, by ${message?.origFrom}`);

// Without the link, the name has no Replier.
await limpets[1]?.stop();
while ((await panel.findReplier('$.Boiler.Get')) !== null) await panel.waitForMsg();
await panel.request('$.Boiler.Get').catch((error) => console.log(error.code));

await limpets[0]?.stop();
await Promise.all([panel.close(), boiler.close()]);
await rm(folder, { recursive: true });
