// Traffic for soak/inspector.mjs: so many messages a second from ten programs, of which every tenth is a Request.
import process from 'node:process';
import { Announcement, Ksock } from '../dist/index.js';

const rate = Number(process.argv[2] ?? 10_000);
const TICK_MS = 10;

const open = (/** @type {string} */ name) => Ksock.open(0, { name, onMissed: () => {} });
const screen = await open('screen');
await screen.listener('$.Room.*', () => {});
const heater = await open('heater');
await heater.replier('$.Heater.Set', () => 'ok');
const sensors = await Promise.all(Array.from({ length: 8 }, (_, at) => open(`sensor ${at}`)));

let count = 0;
let due = performance.now();
setInterval(() => {
  for (; due < performance.now(); due += 1000 / rate) {
    // A Request and its Reply are two messages.
    const sensor = sensors[count % sensors.length];
    if (count++ % 20 === 0) sensor?.request('$.Heater.Set', String(count)).catch(() => {});
    else sensor?.post(new Announcement(`$.Room.${count % 50}.Temp`, `{"degrees": ${count % 40}}`));
  }
}, TICK_MS);
