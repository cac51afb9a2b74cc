import type { Bus } from '../../src/bus/bus.ts';
import { Buses } from '../../src/bus/buses.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { LOCAL_WEB, LocalDaemon } from '../support/daemon.ts';
import { FrameHost } from '../support/frame-host.ts';
import { byteByByte, type Cut, whole } from '../support/pipe.ts';
import { KsockPlace } from './ksock-place.ts';
import type { Transport } from './transport.ts';

export const inProcess: Transport<Ksock> = {
  name: 'in this process',
  hasNumbers: false,
  place: async (settings) => {
    const buses = new Buses(1, settings);
    const busOf = (number: number): Bus => buses.get(number) as Bus;
    return new KsockPlace(busOf(0), (mode, bus) => Ksock.open(busOf(bus), { mode }));
  },
};

/** Client and session, connected in memory. */
const frames = (name: string, cut: Cut, turnSteps?: number): Transport<Ksock> => ({
  name,
  place: async (settings) => {
    const host = new FrameHost(settings, cut, turnSteps);
    return new KsockPlace(host.bus, (mode, bus) => host.open({ mode }, bus));
  },
});

export const inFrames = frames('in frames', whole);
export const inFramesByteByByte = frames('in frames that come byte by byte', byteByByte);
/** Nearly everything is put off (spec 1 §14.2). */
export const inShortTurns = frames('in turns of two steps', whole, 2);

export const unixSocket: Transport<Ksock> = {
  name: 'over a Unix socket',
  place: async (settings) => {
    const local = await LocalDaemon.start(settings);
    return new KsockPlace(
      local.daemon.buses.get(0) as Bus,
      (mode, bus) => local.open({ mode }, bus),
      () => local.stop(),
    );
  },
};

export const webSocket: Transport<Ksock> = {
  name: 'over a WebSocket',
  hasPids: false,
  place: async (settings) => {
    const local = await LocalDaemon.start(settings, { web: LOCAL_WEB });
    return new KsockPlace(
      local.daemon.buses.get(0) as Bus,
      (mode, bus) => local.openWeb({ mode }, bus),
      () => local.stop(),
    );
  },
};
