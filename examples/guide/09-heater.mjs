import { Announcement, Ksock } from 'kbus';

/**
 * The heater, on any bus: a number for the bus of a daemon, or a Bus of this process.
 * @param {import('kbus').Bus | number} place
 */
export async function startHeater(place) {
  const heater =
    typeof place === 'number'
      ? await Ksock.open(place, { name: 'heater', reconnect: true })
      : await Ksock.open(place, { name: 'heater', onHandlerError: () => {} });
  await heater.replier('$.Heater.Set', async (request) => {
    const degrees = Number(request.text());
    if (!(degrees <= 30)) throw new RangeError('at most 30 °C');
    await heater.sendMsg(new Announcement('$.Heater.Target', String(degrees)));
    return 'ok';
  });
  return heater;
}
