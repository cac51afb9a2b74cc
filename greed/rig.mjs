// A bus with sessions, driven without sockets and without other processes: what is measured is the daemon's own.
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { FlushScheduler } from '../dist/base/flush-scheduler.js';
import { Slab } from '../dist/base/slab.js';
import { Bus } from '../dist/bus/bus.js';
import { Memory } from '../dist/bus/memory.js';
import { Work } from '../dist/bus/work.js';
import { Chunks } from '../dist/daemon/chunks.js';
import { ReceiveBuffers } from '../dist/daemon/receive-buffers.js';
import { ReceivePools } from '../dist/daemon/receive-pools.js';
import { Session } from '../dist/daemon/session.js';
import { MAX_EVENT_MS, TURN_STEPS, Turns } from '../dist/daemon/turns.js';
import { NameNumbers } from '../dist/message/codec/name-numbers.js';
import { EVENTS_VERSION } from '../dist/tap/events.js';
import { StalledWrites } from '../dist/transport/stalled-writes.js';
import { wordsFrame } from '../dist/wire/frame.js';
import { FrameKind, HelloMode, PROTOCOL_MAGIC, PROTOCOL_VERSION } from '../dist/wire/protocol.js';
import { UNLIMITED } from './wire.mjs';

/** The client's end, which reads all, or nothing. */
class Drain {
  backlog = 0;
  isPaused = false;
  isEnded = false;
  /** @type {Uint8Array[]} */
  kept = [];

  stalled = new StalledWrites({ writableLength: 0, destroyed: false }, () => {});

  /** @param {boolean} reads */
  constructor(reads) {
    this.reads = reads;
  }

  /** @param {readonly Uint8Array[]} pieces */
  write(pieces) {
    if (this.reads) return;
    this.stalled.begin(pieces);
    for (const piece of pieces) {
      this.kept.push(piece);
      this.backlog += piece.length;
    }
  }

  get held() {
    return this.stalled.held;
  }

  pause() {
    this.isPaused = true;
  }

  resume() {
    this.isPaused = false;
  }

  end() {
    this.isEnded = true;
  }
}

/** A daemon's sessions on one bus. `timed` is called with all that runs in one turn of its event loop. */
export class Rig {
  /** @param {number} maxMemory @param {(what: () => void) => void} [timed] */
  constructor(maxMemory, timed = (what) => what()) {
    this.timed = timed;
    this.memory = new Memory(maxMemory);
    this.work = new Work(TURN_STEPS, MAX_EVENT_MS);
    this.work.clock = () => performance.now();
    this.bus = new Bus({
      common: { memory: this.memory, names: new NameNumbers(), work: this.work },
    });
    /** @type {(() => void)[]} */
    this.later = [];
    const flushes = new FlushScheduler();
    this.host = {
      flushes,
      turns: new Turns(this.work, (turn) => this.later.push(turn), flushes),
      chunks: new Chunks(this.memory, this.work),
      slab: new Slab(65_536, Buffer.alloc),
      pid: 1,
      newDevice: async () => -22,
      warn: () => {},
      timers: {
        now: () => performance.now(),
        setTimeout: (/** @type {() => void} */ what) => {
          this.later.push(what);
          return 0;
        },
        clearTimeout: () => {},
        queueMicrotask,
      },
    };
    this.buffers = new ReceiveBuffers(() => {}, new ReceivePools(this.host.chunks));
  }

  /** A connection whose client has said HELLO, and reads all or nothing. */
  connect(reads = true, mode = 3) {
    const client = this.call(reads);
    this.greet(client, mode);
    return client;
  }

  /** A connection whose client has not said HELLO. */
  call(reads = true) {
    const drain = new Drain(reads);
    return { drain, session: new Session(this.host, this.bus, drain) };
  }

  /** @param {ReturnType<Rig['call']>} client */
  greet({ session }, mode = 3) {
    const hello = [PROTOCOL_MAGIC, PROTOCOL_VERSION, mode, 1];
    const frame = wordsFrame(FrameKind.HELLO, 0, 0, 0, hello);
    session.received(frame, 0, frame.length);
  }

  /** A program that observes all kinds of messages. @param {string} names  the filter @param {number} size  bytes that may wait */
  observe(names, data = UNLIMITED, size = 0, reads = true) {
    const client = this.connect(reads, HelloMode.OBSERVE);
    const words = [EVENTS_VERSION, 15, data, size];
    this.send(client, wordsFrame(FrameKind.OBSERVE, 0, 0, 0, words, names));
    return client;
  }

  /** @param {ReturnType<Rig['connect']>} client @param {Uint8Array} bytes */
  send({ drain, session }, bytes) {
    const { buffers } = this;
    for (let from = 0; from < bytes.length && !drain.isEnded; from += buffers.scratch.length) {
      while (drain.isPaused && this.later.length > 0) this.settle();
      if (drain.isPaused) break;
      const chunk = bytes.subarray(from, from + buffers.scratch.length);
      buffers.scratch.set(chunk);
      const { bytes: kept, at } = buffers.keep(chunk.length, 0);
      this.timed(() => session.received(kept, at, at + chunk.length));
    }
    if (this.later.length > 0) this.settle();
  }

  /** Runs all turns that are still to come. */
  settle() {
    for (let turn = this.later.shift(); turn !== undefined; turn = this.later.shift())
      this.timed(turn);
  }
}

/** What this process holds in objects and buffers, in bytes: buffers are freed some time after the objects that had them. */
export async function memoryAtRest() {
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
