// A fast sensor, and a screen that draws slowly. The sensor waits for it, or does not.
import { Announcement, Flag, KbusError, Ksock } from 'kbus';

let missed = 0;
const sensor = await Ksock.open(0, { name: 'sensor' });
const screen = await Ksock.open(0, {
  name: 'screen',
  onMissed: ({ count }) => {
    missed += count;
  },
});
await screen.setMaxMessages(3);
await screen.bind('$.Room.*');

// 1. Nobody waits: the bus accepts all ten, and the screen misses seven.
for (let i = 1; i <= 10; i++) await sensor.sendMsg(new Announcement(`$.Room.Temp${i}`));
const drawn = [];
for await (const message of screen.drain()) drawn.push(message.name);
console.log(`screen: drew ${drawn.join(', ')}; missed ${missed}`);

// 2. The send fails, and the sensor decides what to do.
for (let i = 1; i <= 3; i++) await sensor.sendMsg(new Announcement(`$.Room.Temp${i}`));
try {
  await sensor.sendMsg(new Announcement('$.Room.Temp4', null, { flags: Flag.ALL_OR_FAIL }));
} catch (error) {
  if (!(error instanceof KbusError)) throw error;
  console.log(`sensor: ${error.code}`);
}
for await (const message of screen.drain()) message.text();

// 3. The sensor waits: it is as fast as the screen, and nothing is missed.
const sent = sensor.sendAll(
  Array.from({ length: 1000 }, (_, i) => new Announcement(`$.Room.Temp${i}`)),
);
let count = 0;
for await (const message of screen) {
  message.text();
  if (++count === 1000) break;
}
console.log(`sensor: sent ${await sent}; screen: drew ${count}, missed ${missed - 7} more`);

await Promise.all([sensor.close(), screen.close()]);
