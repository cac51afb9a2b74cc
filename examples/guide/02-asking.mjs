// The heater replies to Requests. A panel asks it; the screen hears the question, too.
import { Ksock } from 'kbus';

const heater = await Ksock.open(0, { name: 'heater' });
let target = 20;
await heater.replier('$.Heater.Set', (request) => {
  target = Number(request.text());
  return `set to ${target} °C`;
});
await heater.replier('$.Heater.Get', () => String(target));

const screen = await Ksock.open(0, { name: 'screen' });
await screen.bind('$.Heater.Set');

const panel = await Ksock.open(0, { name: 'panel' });
const reply = await panel.request('$.Heater.Set', '21', { timeout: 1000 });
console.log(`panel: ${reply.text()}`);
console.log(`panel: the target is ${(await panel.request('$.Heater.Get')).text()} °C`);

// A queue keeps its messages until the program reads them.
for await (const message of screen.drain()) console.log(`screen: ${message}`);

const rival = await Ksock.open(0, { name: 'rival' });
await rival
  .replier('$.Heater.Set', () => 'mine')
  .catch((error) => console.log(`rival: ${error.code}`));

await Promise.all([heater, screen, panel, rival].map((ksock) => ksock.close()));
