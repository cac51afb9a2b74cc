// Three daemons, whose Limpets meet through a NATS server. Killed and stopped: the server, Limpets, and a daemon. Checked: nobody
// hears a message twice, a sender's messages come in order, and each Request gets exactly one answer. With --only server, also:
// each message is heard, or told as missed: heard + missed = sent. (What a killed Limpet had not passed on is lost with it.)
//
// With --inside, the daemons run the Limpets themselves, as their configuration files say, and no Limpet is killed alone.
//
// With --mode stream, Announcements go through JetStream. With --servers 3, they are a cluster, and which of them is killed is
// often the leader of the cluster, or of the stream.
//
//   node chaos/machines.mjs --seconds 60 --seed 7 --only server --mode stream --servers 3
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { Ksock } from '../dist/index.js';
import { freePort, NatsCluster, startNats } from '../harness/nats-server.mjs';
import { Daemon, KBUS, withLimpet } from '../harness/serve.mjs';
import {
  Announcer,
  Asker,
  at,
  children,
  servers as count,
  Ears,
  inside,
  mode,
  only,
  random,
  report,
  runChaos,
  seconds,
  until,
  untilHeard,
  Verdict,
} from './joined.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const onlyServer = only === 'server';
const MACHINES = ['one', 'two', 'three'];
const faults = { server: 0, leaders: 0, stops: 0, limpets: 0, daemons: 0 };

/** The NATS servers: one, or a cluster. */
class Servers {
  /** @type {ChildProcess[]} */
  running = [];
  url = '';
  /** @type {NatsCluster | null} */
  cluster = null;
  port = 0;

  async begin() {
    this.port = await freePort();
    this.cluster = count > 1 ? await NatsCluster.of(count, at('jetstream')) : null;
    this.url = this.cluster?.url ?? `nats://127.0.0.1:${this.port}`;
    await Promise.all(Array.from({ length: count }, (_, which) => this.start(which)));
  }

  /** @param {number} which */
  async start(which) {
    const more = mode === 'stream' ? ['-js', '-sd', at('jetstream')] : [];
    const server = await (this.cluster?.start(which) ?? startNats(this.port, ...more));
    children.add(server);
    this.running[which] = server;
  }

  /** The number of a server: one of three times each, the leader of the cluster, that of the stream, or any. */
  async choose() {
    const { meta, stream } = (await this.cluster?.leaders()) ?? {};
    const [leader] = [[meta], [stream], []][random.below(3)] ?? [];
    if (leader === undefined) return random.below(count);
    faults.leaders++;
    return leader;
  }

  async untilLed() {
    const end = performance.now() + 15_000;
    while (this.cluster !== null && performance.now() < end) {
      const { meta, stream } = await this.cluster.leaders();
      if (meta !== undefined && (stream !== undefined || mode === 'core')) return;
      await pause(100);
    }
  }

  /** @param {number} which */
  async kill(which) {
    await kill(/** @type {ChildProcess} */ (this.running[which]));
    await pause(random.below(this.cluster === null ? 1000 : 4000));
    await this.start(which);
  }

  /** @param {number} which */
  async stop(which) {
    const server = this.running[which];
    server?.kill('SIGSTOP');
    await pause(random.below(2000));
    server?.kill('SIGCONT');
  }
}

/** @param {string} url @param {number} machine */
function startLimpet(url, machine) {
  const nats = ['--nats', url, '--federation', 'plant'];
  if (mode === 'stream') nats.push('--stream-replicas', String(count));
  const words = [
    'limpet',
    '--id',
    String(machine + 1),
    ...nats,
    '--nats-mode',
    mode,
    '--directory',
    at(MACHINES[machine] ?? ''),
  ];
  const child = spawn(process.execPath, [KBUS, ...words], { stdio: 'ignore' });
  children.add(child);
  return child;
}

/** @param {ChildProcess} child */
async function kill(child) {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  children.delete(child);
}

/** @param {string} url @param {number} machine */
async function startDaemon(url, machine) {
  const folder = at(MACHINES[machine] ?? '');
  const replicas = mode === 'stream' ? `, replicas = ${count}` : '';
  const link = `{ nats = "${url}", federation = "plant", mode = "${mode}"${replicas} }`;
  const daemon = new Daemon(folder, inside ? withLimpet(folder, machine + 1, link) : []);
  children.add(daemon.child);
  await daemon.serving;
  return daemon.child;
}

/** @param {string} machine @param {boolean} [reconnect] */
const open = (machine, reconnect = false) =>
  Ksock.open(0, { directory: at(machine), reconnect, onMissed: () => {} });

async function main() {
  process.env['XDG_STATE_HOME'] = at('state');
  const servers = new Servers();
  await servers.begin();
  const { url } = servers;
  const daemons = await Promise.all(MACHINES.map((_, machine) => startDaemon(url, machine)));
  const limpets = inside ? [] : MACHINES.map((_, machine) => startLimpet(url, machine));
  const on = (/** @type {number} */ machine) => open(MACHINES[machine] ?? '');
  const [near, far, listening] = [await on(0), await on(1), await on(1)];
  const [sender, back] = [await on(0), await on(1)];
  for (const ksock of [near, far, listening]) await ksock.setMaxMessages(10_000_000);
  await far.replier('$.Ask', (request) => request.text());
  // Machine three is the one whose daemon dies: its Replier comes back by itself.
  const third = await open('three', true);
  await third.replier('$.Third', (request) => request.text());
  await until('the buses are joined', async () => {
    const names = ['$.Ask', '$.Third'];
    const found = await Promise.all(names.map((name) => sender.findReplier(name)));
    return found.every((id) => id !== null);
  });

  const verdict = new Verdict();
  const [one, two] = [new Announcer(sender, '$.FromOne'), new Announcer(back, '$.FromTwo')];
  const [askOne, askTwo] = [
    new Asker(sender, '$.Ask', verdict),
    new Asker(back, '$.Third', verdict),
  ];
  // What the Replier `far` gets to answer is not what listeners hear.
  const ears = { near: new Ears(2), far: new Ears(1) };
  await ears.near.listen(near, ['$.FromTwo', '$.Third'], verdict);
  await ears.far.listen(listening, ['$.FromOne', '$.Ask'], verdict);
  const end = performance.now() + seconds * 1000;
  const announcing = (async () => {
    while (performance.now() < end) {
      for (let at = 0; at < 20; at++) await Promise.all([one.announce(), two.announce()]);
      askOne.ask();
      askTwo.ask();
      await pause(2);
    }
  })();

  while (performance.now() < end) {
    await pause(300 + random.below(1000));
    // Mostly, a cluster is left to elect its leaders first.
    if (random.chance(0.8)) await servers.untilLed();
    const what = random.weighted({
      server: 3,
      stop: 1,
      limpet: onlyServer || inside ? 0 : 3,
      daemon: onlyServer ? 0 : 1,
    });
    if (what === 'server') {
      await servers.kill(await servers.choose());
      faults.server++;
    } else if (what === 'stop') {
      await servers.stop(await servers.choose());
      faults.stops++;
    } else if (what === 'limpet') {
      const which = random.below(3);
      await kill(/** @type {ChildProcess} */ (limpets[which]));
      await pause(random.below(500));
      limpets[which] = startLimpet(url, which);
      faults.limpets++;
    } else {
      await kill(/** @type {ChildProcess} */ (daemons[2]));
      await pause(random.below(500));
      daemons[2] = await startDaemon(url, 2);
      faults.daemons++;
    }
  }
  await announcing;
  await Promise.all([...askOne.asked, ...askTwo.asked]);
  await until('all Repliers are known again', async () => {
    return (
      (await sender.findReplier('$.Ask')) !== null && (await back.findReplier('$.Third')) !== null
    );
  });
  if (onlyServer) {
    const [asked, askedBack] = [askOne.heardBy({ isOfReplier: true }), askTwo.heardBy()];
    await untilHeard(
      [
        [ears.near, two.sent + askedBack.least, two.sent + askedBack.most],
        [ears.far, one.sent + asked.least, one.sent + asked.most],
      ],
      verdict,
    );
  }
  const where = inside ? ', Limpets inside the daemons' : '';
  report(`machines in mode ${mode}${where}`, verdict, [ears.near, ears.far], [askOne, askTwo], {
    sent: one.sent + two.sent,
    ...faults,
  });
}

await runChaos(main);
