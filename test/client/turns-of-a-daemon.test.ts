import { afterEach, describe, expect, it } from 'vitest';
import { Ksock, observe } from '../../src/client/index.ts';
import { Announcement } from '../../src/message/message.ts';
import { FrameHost } from '../support/frame-host.ts';

/** After so many steps a turn of the daemon is over. */
const STEPS = 50;
const COUNT = 10 * STEPS;

/** Programs in the process of a daemon, such as the Limpets of its configuration file. */
describe('A program in the process of a daemon, when the turn of the daemon is over,', () => {
  const hosts: FrameHost[] = [];
  const ksocks: Ksock[] = [];
  afterEach(async () => {
    await Promise.all(ksocks.splice(0).map((ksock) => ksock.close()));
    await Promise.all(hosts.splice(0).map((host) => host.close()));
  });

  async function stage(): Promise<{ host: FrameHost; inside: Ksock }> {
    const host = new FrameHost({}, undefined, STEPS);
    const inside = await Ksock.open(host.bus);
    hosts.push(host);
    ksocks.push(inside);
    return { host, inside };
  }

  /** Gives what waits for COUNT texts of `$.News`. */
  async function hearing(listener: Ksock): Promise<() => Promise<string[]>> {
    const heard: string[] = [];
    let done = (): void => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    await listener.listener('$.News', (message) => {
      if (heard.push(message.text()) === COUNT) done();
    });
    return () => all.then(() => heard);
  }

  it('goes on with its posts in the next turns', async () => {
    const { host, inside } = await stage();
    const listener = await host.open();
    await listener.setMaxMessages(COUNT);
    const all = await hearing(listener);
    for (let at = 0; at < COUNT; at++) inside.post(new Announcement('$.News', `${at}`));
    await inside.flush();
    expect(await all()).toEqual(Array.from({ length: COUNT }, (_, at) => `${at}`));
  });

  it('goes on with sends and Requests that it awaits', async () => {
    const { host, inside } = await stage();
    const replier = await host.open();
    await replier.replier('$.Ask', (request) => request.data);
    await inside.setMaxMessages(COUNT);
    const sent = Array.from({ length: COUNT }, () => inside.sendMsg(new Announcement('$.None')));
    const asked = Array.from({ length: COUNT / 10 }, (_, at) => inside.request('$.Ask', `${at}`));
    const ids = await Promise.all(sent);
    expect(new Set(ids.map(String)).size).toBe(COUNT);
    const answers = await Promise.all(asked);
    expect(answers.map((answer) => answer.text())).toEqual(asked.map((_, at) => `${at}`));
  });

  it('goes on waiting for room behind a full queue', async () => {
    const { host, inside } = await stage();
    const listener = await host.open();
    await listener.setMaxMessages(3);
    const all = await hearing(listener);
    for (let at = 0; at < COUNT; at++) {
      const room = inside.post(new Announcement('$.News', `${at}`), { wait: true });
      if (room !== undefined) await room;
    }
    expect(await all()).toEqual(Array.from({ length: COUNT }, (_, at) => `${at}`));
  });

  it('goes on observing: it is told of all Ksocks that are open', async () => {
    const { host } = await stage();
    for (let at = 0; at < STEPS; at++) await host.open();
    const tap = await observe(host.bus);
    let open = 0;
    for await (const event of tap) {
      if (event.type === 'ksock') open++;
      if (event.type === 'ready') break;
    }
    expect(open).toBe(STEPS + 1);
  });

  it('does not keep the programs at its sockets from being served', async () => {
    const { host, inside } = await stage();
    const asker = await host.open();
    await inside.replier('$.Ask', (request) => request.data);
    for (let at = 0; at < COUNT; at++) inside.post(new Announcement('$.None'));
    expect((await asker.request('$.Ask', 'me')).text()).toBe('me');
  });
});
