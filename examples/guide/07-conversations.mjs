// A recorder of television: one client has the tuner, and keeps it until it is done.
import { KbusError, Ksock, statefulRequest } from 'kbus';

/** @param {string} name */
async function openTuner(name) {
  const tuner = await Ksock.open(0, { name });
  let channel = 0;
  await tuner.replier('$.Tuner', (request) => {
    const [what, number] = request.text().split(' ');
    if (what === 'tune') channel = Number(number);
    return what === 'tune'
      ? `${name} is on channel ${channel}`
      : `${name} records channel ${channel}`;
  });
  return tuner;
}

const first = await openTuner('tuner 1');
const client = await Ksock.open(0, { name: 'client' });

// The Reply says which Ksock answered. What follows is for that one, and for no other.
const tuned = await client.request('$.Tuner', 'tune 5');
console.log(tuned.text());
const recording = await client.request(statefulRequest(tuned, '$.Tuner', 'record'));
console.log(recording.text());

// The tuner dies, and another takes its name. It knows nothing of channel 5.
await first.close();
const second = await openTuner('tuner 2');
try {
  await client.request(statefulRequest(tuned, '$.Tuner', 'record'));
} catch (error) {
  if (!(error instanceof KbusError) || error.code !== 'EPIPE') throw error;
  console.log('the tuner of this conversation is gone: begin again');
}
console.log((await client.request('$.Tuner', 'tune 5')).text());

await Promise.all([second.close(), client.close()]);
