// What a panel does with each way in which a Request may fail.
import { KbusError, Ksock, ReplierError, StatusError } from 'kbus';

const heater = await Ksock.open(0, {
  name: 'heater',
  onHandlerError: (error, message) => console.log(`heater: ${message?.name}: ${error}`),
});
await heater.replier('$.Heater.Break', () => {
  throw new Error('the valve is stuck');
});
await heater.replier('$.Heater.Forget', () => new Promise(() => {}));
await heater.replier('$.Heater.Crash', () => {
  heater.close();
  return new Promise(() => {});
});

const panel = await Ksock.open(0, { name: 'panel' });

/**
 * @param {string} name
 * @param {number} timeout
 */
async function ask(name, timeout) {
  try {
    const reply = await panel.request(name, '', { timeout });
    console.log(`panel: ${name} answered ${reply.text()}`);
  } catch (error) {
    if (error instanceof ReplierError) {
      console.log(`panel: the heater could not: ${error.reply.text()}`);
    } else if (error instanceof StatusError) {
      console.log(`panel: the heater is gone: ${error.status.name}`);
    } else if (error instanceof KbusError && error.code === 'EADDRNOTAVAIL') {
      console.log(`panel: ${error.meaning}`);
    } else if (error instanceof KbusError && error.code === 'ETIMEDOUT') {
      console.log('panel: the heater is too slow');
    } else {
      throw error; // a mistake of this program
    }
  }
}

await ask('$.Heater.Break', 5000);
await ask('$.Heater.Forget', 50);
await ask('$.Heater.Crash', 5000);
await ask('$.Heater.Set', 5000);
await panel.close();
