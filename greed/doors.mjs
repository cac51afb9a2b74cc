// What programs do to a daemon by its other doors: as observers, as pages, as the peers of its Limpets, or without a word.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVENTS_VERSION } from '../dist/tap/events.js';
import { wordsFrame } from '../dist/wire/frame.js';
import { HelloMode, ObserveDetail } from '../dist/wire/protocol.js';
import {
  call,
  credit,
  dial,
  FrameKind,
  Op,
  PROTOCOL,
  record,
  SendDetail,
  send,
  UNLIMITED,
} from './wire.mjs';

const MEBIBYTE = 1024 * 1024;
const LIMITED = ['--max-memory', String(100 * MEBIBYTE)];
const ALL_KINDS = 15;
/** Longer than a daemon bears many connections that have said nothing. */
const SILENT_MS = 6000;

/** @import { Attack, OneAttack } from './attacks.mjs' */
/** @import { Wire } from './wire.mjs' */

/** A program that observes, and has asked for what it wants. @param {Attack} attack @param {number} size  bytes that may wait */
async function observer(attack, names = '', size = 0) {
  const wire = await attack.wire(0, HelloMode.OBSERVE);
  const words = [EVENTS_VERSION, ALL_KINDS, UNLIMITED, size];
  wire.write(wordsFrame(FrameKind.OBSERVE, 0, 0, 0, words, names));
  return wire;
}

/** Opens as many Ksocks as the daemon lets it. @param {Attack} attack @param {(wire: Wire) => void} use */
async function openAll(attack, use) {
  for (let at = 0; at < attack.some(16_400); at++) {
    const wire = await attack.wire();
    if (wire.farewell !== '') break;
    use(wire);
  }
}

/** Connects to a port or a path; gives the socket, which reads nothing. @param {Attack} attack @param {string | number} where */
async function enter(attack, where) {
  const socket = await dial(where);
  socket.setMaxListeners(0);
  socket.on('error', () => {});
  attack.kept.push(socket);
  return socket;
}

/** Writes, and waits until the system has taken it or the connection has ended. @param {import('node:net').Socket} socket @param {Uint8Array} bytes */
async function put(socket, bytes) {
  if (socket.destroyed || socket.write(bytes)) return;
  await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
}

/** The port and the token of the daemon's page. @param {Attack} attack */
function page(attack) {
  const { port, hash } = new URL(readFileSync(join(attack.directory, 'kbus.web'), 'utf8').trim());
  return { port: Number(port), token: hash.replace('#token=', '') };
}

/** A WebSocket as bytes: what is asked, without reading any answer. @param {Attack} attack @param {number} port */
async function webSocket(attack, port) {
  const socket = await enter(attack, port);
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: kbus\r\n\r\n`,
  );
  return socket;
}

/** A binary message of a client, or a part of one, with a mask of zeros. @param {Uint8Array} payload */
function webMessage(payload, length = payload.length) {
  const head = Buffer.alloc(14);
  head[0] = 0x82;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

const ENTER_MAGIC = 0x4b42_5553;
/** @param {string} token */
const entering = (token) =>
  Buffer.concat([
    wordsFrame(FrameKind.ENTER, 0, 0, 0, [ENTER_MAGIC, 0], token),
    wordsFrame(FrameKind.HELLO, 0, 0, 0, [...PROTOCOL, 3, 1]),
  ]);

/** @param {string} directory */
function limpetSettings(directory) {
  const file = join(directory, 'greed.toml');
  const link = join(directory, 'limpet.sock');
  writeFileSync(
    file,
    `[[limpet]]\nid = 1\nbus = 0\nlink = [{ server = ${JSON.stringify(link)} }]\n`,
  );
  return [...LIMITED, '--config', file];
}

const LIMPET_MAGIC = Buffer.from('KLMP');

/** The beginning of a frame of a link that claims to be so long. @param {number} length @param {number} kind */
function limpetHead(length, kind) {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length, 0);
  head[4] = kind;
  return head;
}

/** @type {Record<string, OneAttack>} */
export const DOORS = {
  'connections that say nothing': {
    does: 'opens 12,000 connections, and says nothing on them',
    settings: LIMITED,
    async run(attack) {
      const path = join(attack.directory, 'kbus0.sock');
      for (let at = 0; at < attack.some(12_000); at++) await enter(attack, path);
      // Only then are most of them ended.
      await new Promise((resolve) => setTimeout(resolve, SILENT_MS));
    },
  },
  'Ksocks that end at once': {
    does: 'opens as many Ksocks as it may (max-connections), and is killed',
    async run(attack) {
      await openAll(attack, () => {});
    },
  },
  'Ksocks that end without having read': {
    does: 'opens as many Ksocks as it may, leaves an answer to each of them unread, and is killed',
    async run(attack) {
      await openAll(attack, (wire) => {
        wire.stop();
        wire.write(call(Op.MAX_MESSAGES, 1, 0));
      });
    },
  },
  'stalled readers': {
    does: 'has 500 listeners that never read, and others whose frames lie between theirs in memory',
    settings: LIMITED,
    async run(attack) {
      const sender = await attack.wire();
      const reader = await attack.wire();
      reader.write(call(Op.MAX_MESSAGES, 1, UNLIMITED));
      await attack.bind(reader, 1, () => '$.Other');
      reader.write(credit(UNLIMITED));
      for (let at = 0; at < attack.some(500); at++) {
        const wire = await attack.hoarder();
        await attack.bind(wire, 1, () => '$.Stalled');
        wire.write(credit(UNLIMITED));
        wire.stop();
      }
      const many = send(1, SendDetail.QUIET, new Array(15).fill(record('$.Other', 4000)));
      const few = send(1, SendDetail.QUIET, [record('$.Stalled', 3000)]);
      await attack.again(() => sender.put(few, many, many));
    },
  },
  'pieces of frames': {
    does: 'sends 4 frames of 16 MiB in pieces of 1,100 bytes, each between 30 KiB that nobody gets',
    settings: LIMITED,
    async run(attack) {
      const [sender, other] = [await attack.wire(), await attack.wire()];
      const larges = [sender, await attack.wire(), await attack.wire(), await attack.wire()];
      const large = send(1, SendDetail.QUIET, [record('$.None', 15 * MEBIBYTE)]);
      const rest = send(1, SendDetail.QUIET, new Array(28).fill(record('$.None', 1060)));
      for (let at = 0; at + 1100 <= attack.some(large.length - 2000); at += 1100) {
        for (const wire of larges) wire.write(large.subarray(at, at + 1100));
        await other.put(rest);
      }
    },
  },
  'observers with long filters': {
    does: 'observes 50 times with 1,000 wildcards each, and sends frames of 1,000 ever new names',
    settings: LIMITED,
    async run(attack) {
      const names = Array.from({ length: 1000 }, (_, at) => `$.%.%.x${at}.*`).join(' ');
      for (let at = 0; at < attack.some(50); at++) await observer(attack, names);
      const sender = await attack.wire();
      let at = 0;
      await attack.again(async () => {
        const records = Array.from({ length: 1000 }, () => record(`$.New.n${at++}.x999.a`, 0));
        await sender.put(send(1, SendDetail.QUIET, records));
      });
    },
  },
  'observers that do not read': {
    does: 'observes 100 times (as stopped recorders do), never reads, and sends 10,000 bytes again and again',
    settings: LIMITED,
    async run(attack) {
      for (let at = 0; at < attack.some(100); at++)
        (await observer(attack, '', 64 * MEBIBYTE)).stop();
      const sender = await attack.wire();
      const large = send(1, SendDetail.QUIET, [record('$.Seen', 10_000)]);
      await attack.again(() => sender.put(large, large, large, large));
    },
  },
  'history again and again': {
    does: 'asks for the history (16 MiB) again and again, on 300 connections that never read',
    settings: [...LIMITED, '--history', '16MiB'],
    async run(attack) {
      const sender = await attack.wire();
      const large = send(1, SendDetail.QUIET, [record('$.Seen', 10_000)]);
      for (let at = 0; at < attack.some(3000); at++) await sender.put(large);
      const past = [EVENTS_VERSION, UNLIMITED];
      const look = async () => {
        const wire = await attack.wire(0, HelloMode.OBSERVE);
        wire.write(wordsFrame(FrameKind.OBSERVE, ObserveDetail.PAST, 0, 0, past));
        return wire;
      };
      for (let at = 0; at < attack.some(300); at++) (await look()).stop();
      await attack.again(async () => {
        const wire = await look();
        await wire.put(large);
        wire.socket.destroy();
        attack.kept.pop();
        await sender.put(large, large);
      });
    },
  },
  'pages that do not read': {
    does: 'has 200 pages that listen and never read, while 10,000 bytes are sent again and again',
    settings: [...LIMITED, '--web', '127.0.0.1:0'],
    async run(attack) {
      const { port, token } = page(attack);
      for (let at = 0; at < attack.some(200); at++) {
        const socket = await webSocket(attack, port);
        await once(socket, 'data');
        socket.pause();
        const frames = [entering(token), call(Op.BIND, 1, 0, '$.Page'), credit(UNLIMITED)];
        socket.write(webMessage(Buffer.concat(frames)));
      }
      const sender = await attack.wire();
      const large = send(1, SendDetail.QUIET, [record('$.Page', 10_000)]);
      await attack.again(() => sender.put(large, large));
    },
  },
  'pages that send halves': {
    does: 'opens 4,000 WebSockets, enters with 2,000 of them, and sends half a message of 64 KiB on each',
    settings: [...LIMITED, '--web', '127.0.0.1:0'],
    async run(attack) {
      const { port, token } = page(attack);
      const half = webMessage(Buffer.alloc(32_768), 65_536);
      for (let at = 0; at < attack.some(4000); at++) {
        const socket = await webSocket(attack, port);
        await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => {});
        if ((at & 1) === 0) socket.write(webMessage(entering(token)));
        await put(socket, half);
      }
    },
  },
  'a Limpet that claims much': {
    does: 'sends 200 MiB of a first frame to a Limpet of the daemon, on each of 4 links',
    settings: limpetSettings,
    async run(attack) {
      const part = Buffer.alloc(MEBIBYTE, 0x20);
      for (let at = 0; at < 4; at++) {
        const socket = await enter(attack, join(attack.directory, 'limpet.sock'));
        await put(socket, Buffer.concat([LIMPET_MAGIC, limpetHead(200 * MEBIBYTE, 1)]));
        for (let sent = 0; sent < attack.some(199); sent++) await put(socket, part);
      }
    },
  },
  'a Limpet that floods': {
    does: 'greets a Limpet of the daemon 20 times a second on 50 links, sends garbage, and never reads',
    settings: limpetSettings,
    async run(attack) {
      const garbage = Buffer.concat([LIMPET_MAGIC, limpetHead(65_536, 3), Buffer.alloc(65_528, 7)]);
      await attack.again(async () => {
        const sockets = [];
        for (let at = 0; at < 50; at++) {
          const socket = await enter(attack, join(attack.directory, 'limpet.sock'));
          socket.pause();
          sockets.push(socket);
          attack.kept.pop();
        }
        await Promise.all(sockets.map((socket) => put(socket, garbage)));
        await new Promise((resolve) => setTimeout(resolve, 50));
        for (const socket of sockets) socket.destroy();
      });
    },
  },
};
