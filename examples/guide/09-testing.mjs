import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bus, Ksock, ReplierError } from 'kbus';
import { startHeater } from './09-heater.mjs';

test('the heater announces its target before it answers', async () => {
  const bus = new Bus(); // no daemon, no folder, no port
  const heater = await startHeater(bus);
  const panel = await Ksock.open(bus);
  await panel.bind('$.Heater.Target');

  const reply = await panel.request('$.Heater.Set', '21');

  assert.equal(reply.text(), 'ok');
  assert.equal((await panel.readNextMsg())?.text(), '21');
  assert.equal(await heater.numUnrepliedTo(), 0);
});

test('the heater refuses what would burn the house', async () => {
  const bus = new Bus();
  await startHeater(bus);
  const panel = await Ksock.open(bus);

  await assert.rejects(panel.request('$.Heater.Set', '99'), (error) => {
    return error instanceof ReplierError && error.reply.text() === 'at most 30 °C';
  });
});
