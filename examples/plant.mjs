// A plant in which something is slow: docs/seeing.md looks for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { Announcement, Ksock } from 'kbus';

/** @param {string} name */
const open = (name) => Ksock.open(0, { name, onMissed: () => {} });
const sensor = await open('sensor');
const screen = await open('screen');
const logger = await open('logger');
const heater = await open('heater');
const panel = await open('panel');

// A screen that reads at once, and a logger whose disk is slow.
await screen.listener('$.Room.*', () => {});
await logger.setMaxMessages(10);
await logger.listener('$.Room.*', () => sleep(200), { concurrency: 1 });

// A heater that takes its time.
await heater.replier('$.Heater.Set', async () => {
  await sleep(1500);
  return 'ok';
});

let count = 0;
setInterval(() => {
  const room = 1 + (count++ % 3);
  sensor.post(new Announcement(`$.Room.${room}.Temp`, `${20 + room}.5`));
}, 20);
setInterval(() => panel.request('$.Heater.Set', '21').catch(() => {}), 100);

// By now there is something to see.
await sleep(2000);
console.log('the plant is running');
