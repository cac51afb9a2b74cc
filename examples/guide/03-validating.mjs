// The heater accepts JSON, and checks it with a schema before it believes it.
import { Ksock, ReplierError } from 'kbus';
import * as v from 'valibot';

const Setting = v.object({
  room: v.picklist(['Kitchen', 'Hall']),
  degrees: v.pipe(v.number(), v.minValue(5), v.maxValue(30)),
});

/**
 * The data of a message, checked. Throws an Error that says which field is wrong.
 * @template {v.GenericSchema} S
 * @param {S} schema
 * @param {import('kbus').Message} message
 * @returns {v.InferOutput<S>}
 */
function parse(schema, message) {
  const { success, output, issues } = v.safeParse(schema, message.json());
  if (success) return output;
  throw new Error(issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`).join('; '));
}

const heater = await Ksock.open(0, { name: 'heater', onHandlerError: () => {} });
await heater.replier('$.Heater.Set', (request) => {
  const { room, degrees } = parse(Setting, request);
  return JSON.stringify({ room, degrees, heating: degrees > 18 });
});

const panel = await Ksock.open(0, { name: 'panel' });
for (const wish of ['{"room":"Hall","degrees":21}', '{"room":"Hall","degrees":99}', 'warmer!']) {
  try {
    const reply = await panel.request('$.Heater.Set', wish);
    console.log(reply.json());
  } catch (error) {
    if (!(error instanceof ReplierError)) throw error;
    console.log(error.reply.text());
  }
}
await Promise.all([heater.close(), panel.close()]);
