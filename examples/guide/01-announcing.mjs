// A gateway of a house: a sensor announces temperatures, and a screen shows them.
import { Announcement, Ksock } from 'kbus';

const screen = await Ksock.open(0, { name: 'screen' });
await screen.bind('$.Room.%.Temp');

const sensor = await Ksock.open(0, { name: 'sensor' });
await sensor.sendMsg(new Announcement('$.Room.Kitchen.Temp', '20.5'));
await sensor.sendMsg(new Announcement('$.Room.Hall.Temp', '18'));
await sensor.sendMsg(new Announcement('$.Room.Hall.Door', 'open')); // nobody listens to it

// drain() ends when the queue is empty; without it, the loop waits for more.
for await (const message of screen.drain()) {
  const [, , room] = message.name.split('.');
  console.log(`the ${room} has ${message.text()} °C`);
}
await Promise.all([sensor.close(), screen.close()]);
