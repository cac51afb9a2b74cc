import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pace } from '../pace.mjs';
import { clientVersion, lacking, peer, programPath, programVersion } from '../peers.mjs';
import { alike } from '../workloads.mjs';

/**
 * @import { DBus } from '../clients.ts'
 * @import { Place, System } from '../system.ts'
 */

const REPLIER = 'kbus.bench';
const PATH = '/bench';

/** @param {Place} place @returns {Promise<DBus>} */
const connect = (place) =>
  new Promise((resolve, reject) => {
    const bus = peer('dbus-next').sessionBus({ busAddress: `unix:path=${place.socket}` });
    bus.once('connect', () => resolve(bus));
    bus.once('error', reject);
  });

/** Calls the bus itself. @param {DBus} bus @param {string} member @param {string} [argument] */
function callBus(bus, member, argument) {
  const { Message } = peer('dbus-next');
  const to = 'org.freedesktop.DBus';
  const body = argument === undefined ? {} : { signature: 's', body: [argument] };
  return bus.call(
    new Message({ destination: to, path: '/org/freedesktop/DBus', interface: to, member, ...body }),
  );
}

/** @type {System} */
export default {
  name: 'dbus',
  title: 'D-Bus',
  kind: 'peer',
  over: 'Unix socket',
  workloads: alike,
  how: (workload) =>
    workload.startsWith('rtt')
      ? 'method calls, by the low-level API'
      : 'broadcast signals, a call to the bus every 256 (16 large ones); at most once',
  missing: () => lacking('dbus-daemon', 'dbus-next'),
  versions: () => ({
    'dbus-daemon': programVersion('dbus-daemon', '--version'),
    'npm dbus-next': clientVersion('dbus-next') ?? '',
  }),

  program(place) {
    // The policy of a session bus: all is allowed, with the usual limits.
    const settings = join(place.folder, 'bus.conf');
    writeFileSync(
      settings,
      `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=${place.socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_message_size">1000000000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
`,
    );
    return {
      file: programPath('dbus-daemon') ?? 'dbus-daemon',
      args: [`--config-file=${settings}`, '--nofork', '--nopidfile', '--print-address=1'],
      ready: /unix:path=/,
    };
  },

  async answer(place) {
    const { Message } = peer('dbus-next');
    const bus = await connect(place);
    bus.addMethodHandler((message) => {
      if (message.path !== PATH) return false;
      bus.send(Message.newMethodReturn(message, 'ay', [message.body[0]]));
      return true;
    });
    await bus.requestName(REPLIER, 0);
  },

  async ask(place) {
    const { Message } = peer('dbus-next');
    const bus = await connect(place);
    return (data, done) => {
      bus
        .call(
          new Message({
            destination: REPLIER,
            path: PATH,
            interface: REPLIER,
            member: 'Echo',
            signature: 'ay',
            body: [data],
          }),
        )
        .then(({ body: [reply] }) => done(reply, 0, reply.length));
    };
  },

  async listen(place, hear) {
    const bus = await connect(place);
    bus.on('message', ({ path, body: [data] }) => {
      if (path === PATH) hear(data, 0, data.length);
    });
    await callBus(bus, 'AddMatch', `type='signal',path='${PATH}'`);
  },

  async announce(place) {
    const { Message } = peer('dbus-next');
    const bus = await connect(place);
    // The bus handles a connection's messages in order: its answer says that all earlier ones were routed.
    const { sent, finish } = pace(place.size > 4096 ? 16 : 256, () => callBus(bus, 'GetId'));
    return {
      send(data) {
        bus.send(Message.newSignal(PATH, REPLIER, 'Tick', 'ay', [data]));
        return sent();
      },
      finish,
    };
  },
};
