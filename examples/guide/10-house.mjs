// The house, running: chapter 10 watches it, and records it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Announcement, Ksock } from 'kbus';
import { startHeater } from './09-heater.mjs';

await startHeater(0);
const screen = await Ksock.open(0, { name: 'screen' });
await screen.listener('$.Room.*', () => {});
const sensor = await Ksock.open(0, { name: 'sensor' });
const panel = await Ksock.open(0, { name: 'panel' });
console.log('the house is running');

for (let i = 0; ; i++) {
  await sensor.sendMsg(new Announcement('$.Room.Hall.Temp', String(18 + (i % 3))));
  await panel.request('$.Heater.Set', '21');
  await sleep(100);
}
