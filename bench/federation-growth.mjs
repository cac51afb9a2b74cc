// How a federation grows: node --expose-gc bench/federation-growth.mjs [--write]. All its Limpets, hubs without wires or an
// engine, run in this process; each has all others as neighbours. It counts the frames that one event makes.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Hub } from '../dist/limpet/hub/hub.js';
import { linkOf } from '../dist/limpet/hub/neighbours.js';
import { Message } from '../dist/message/message.js';
import { QUIET_BUS } from '../harness/quiet-bus.mjs';
import { writeReport } from './page.mjs';

/** @import { Link } from '../dist/limpet/hub/link.js' */
/** @import { Frame } from '../dist/limpet/hub/frame.js' */

const SIZES = [4, 16, 64, 128];
const PROGRAMS = 100;
const LINK_COST = 1024;

/** Buses of one federation. */
class Sea {
  /** @type {Hub[]} */
  hubs = [];
  /** By hub and peer: the link that the hub has to the peer. */
  links = new Map();
  /** @type {{ to: Hub, from: Hub, frame: Frame }[]} */
  onTheWay = [];
  frames = 0;

  /** A bus more; runs until all is quiet. */
  join() {
    const id = this.hubs.length + 1;
    /** @type {Hub} */
    const hub = new Hub(
      { address: { id, life: 1 }, maxBytes: 2 ** 23, forgetAfter: 600 },
      {
        ...QUIET_BUS,
        bind: (name) => hub.bound(name, true),
        transmit: (link, frame) => {
          const to = /** @type {Hub} */ (this.hubs[link.peer.id - 1]);
          this.onTheWay.push({ to, from: hub, frame });
          return true;
        },
      },
    );
    this.hubs.push(hub);
    hub.joinBus(5);
    for (const other of this.hubs) if (other !== hub) this.link(hub, other);
    this.settle();
    return hub;
  }

  /** @param {Hub} one @param {Hub} other */
  link(one, other) {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ]) {
      const { address } = /** @type {Hub} */ (to);
      const link = linkOf(0, address, LINK_COST, ['$.*'], 1);
      this.links.set(`${from?.address.id} ${address.id}`, link);
    }
    one.linkUp(this.linkTo(one, other));
    other.linkUp(this.linkTo(other, one));
  }

  /** @param {Hub} from @param {Hub} to @returns {Link} */
  linkTo(from, to) {
    return this.links.get(`${from.address.id} ${to.address.id}`);
  }

  settle() {
    for (let at = 0; at < this.onTheWay.length; at++) {
      const { to, from, frame } = /** @type {Sea['onTheWay'][number]} */ (this.onTheWay[at]);
      to.received(this.linkTo(to, from), frame);
    }
    this.frames += this.onTheWay.length;
    this.onTheWay = [];
  }

  /** The frames that something makes. @param {() => void} happens */
  count(happens) {
    const before = this.frames;
    happens();
    this.settle();
    return this.frames - before;
  }
}

const inUse = () => {
  /** @type {{ gc?: () => void }} */ (globalThis).gc?.();
  return process.memoryUsage().heapUsed;
};

/** @param {number} size */
function measure(size) {
  const sea = new Sea();
  for (let at = 1; at < size; at++) sea.join();
  const joining = sea.count(() => sea.join());
  const one = /** @type {Hub} */ (sea.hubs[0]);
  const binding = sea.count(() => one.repliers.localBound('$.Plant.Pump', 7));
  const announcing = sea.count(() => {
    one.heard(new Message('$.Plant.Level', 'data'));
    one.flush();
  });
  return { size, joining, binding, announcing };
}

/** The memory of one Limpet's tables, and how long it takes to fill them: all others have PROGRAMS names each. @param {number} size */
function tables(size) {
  const sea = new Sea();
  const hub = sea.join();
  const names = Array.from({ length: size - 1 }, (_, bus) =>
    Array.from({ length: PROGRAMS }, (_, program) => `$.Plant.Bus${bus}.Program${program}`),
  );
  sea.links.clear();
  const before = inUse();
  const began = performance.now();
  for (let at = 1; at < size; at++) {
    const peer = { id: at + 1, life: 1 };
    const link = linkOf(0, peer, LINK_COST, ['$.*'], 1);
    hub.linkUp(link);
    const links = [{ peer: { id: 0, life: 1 }, cost: LINK_COST, filters: ['$.*'] }];
    const repliers = /** @type {string[]} */ (names[at - 1]);
    hub.received(link, {
      kind: 'state',
      state: { hub: peer, seq: 2, links, replaces: null, repliers },
    });
    const { inflows } = hub.streams;
    const token = inflows.get(`${peer.id}.1`)?.token ?? 0;
    hub.received(link, {
      kind: 'begin',
      origin: peer,
      token,
      from: 1,
      heard: 0,
      isGap: false,
      now: 1,
      heardNow: 0,
    });
    hub.received(link, { kind: 'acknowledge', origin: hub.address, hub: peer, to: 0 });
    sea.onTheWay = [];
  }
  const took = performance.now() - began;
  const bytes = inUse() - before;
  return { proxies: hub.repliers.proxied.size, bytes, took };
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const rows = SIZES.map(measure);
const { proxies, bytes, took } = tables(1000);
const text = [
  '| buses | frames when one more joins | for a bind | for an Announcement |',
  '| ---: | ---: | ---: | ---: |',
  ...rows.map(
    ({ size, joining, binding, announcing }) =>
      `| ${size} | ${joining} | ${binding} | ${announcing} |`,
  ),
  '',
  `A Limpet among 1,000 buses, each with ${PROGRAMS} Repliers: ${proxies.toLocaleString('en')} names in ${(bytes / 2 ** 20).toFixed(0)} MiB; it took ${(took / 1000).toFixed(1)} s of work to join them all.`,
].join('\n');
console.log(text);
if (values.write) writeReport('federation', text);
