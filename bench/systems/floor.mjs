// The floors: the best that plain Node can do between processes, without a bus.
//
// *relay4* (rtt, rtt64, services): frames of 36 bytes and the data, without a length, and a relay that passes on
// all bytes unchanged.
//
// *stream* (1to1, fan16, big, mixed…): frames of
//
//     u32  bytes that follow, little-endian
//     32   bytes in place of a header; 40 in place of head and name if names change
//     …    data
//
// batched by the writer; parsed and batched again by the relay; parsed by the reader. With many readers
// the relay copies each frame for each of them; with many writers, it copies all whole frames of a
// batch, so that no frame of a writer begins within one of another. All send from reused slabs, one write per
// batch, and every client reads into one fixed buffer (`onread`). Memory is bounded: a writer with enough
// slabs in flight waits, and a relay stops reading while a receiver has a backlog.
import net from 'node:net';
import { asks } from '../workloads.mjs';

/** @import { Announcer, Ask, Hear, Place, System } from '../system.ts' */

/** Bytes of a frame before its data, with its length, if it has one. @param {Place} place */
const headerOf = (place) => (place.workload.startsWith('mixed') ? 44 : 36);
const READ = 256 * 1024;
/** The most that Node reads at once from an accepted socket. */
const CHUNK = 64 * 1024;
/** Slabs that a writer has in flight before it waits. */
const SLABS = 4;

/** Bytes of the longest frame. @param {Place} place */
const frameOf = (place) => headerOf(place) + place.size;
/** Bytes in a slab: a batch of small frames, or a few large ones. @param {Place} place */
const slabOf = (place) => Math.max(64 * 1024, 4 * frameOf(place));

/** @param {string} path @param {(socket: net.Socket) => void} accept @returns {Promise<void>} */
const serve = (path, accept) =>
  new Promise((resolve, reject) => {
    net.createServer(accept).once('error', reject).listen(path, resolve);
  });

/**
 * @param {string} path
 * @param {(bytes: Buffer, length: number) => void} read  gets the received bytes, always in the same buffer
 * @returns {Promise<net.Socket>}
 */
const dial = (path, read) =>
  new Promise((resolve, reject) => {
    const buffer = Buffer.allocUnsafeSlow(READ);
    const callback = (/** @type {number} */ length) => {
      read(buffer, length);
      return true;
    };
    const socket = net.connect({ path, onread: { buffer, callback } });
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject); // from now on an error ends the process
      resolve(socket);
    });
  });

/** @param {Uint8Array} bytes @param {number} at */
const byteAt = (bytes, at) => /** @type {number} */ (bytes[at]);

/** @param {Uint8Array} bytes @param {number} at */
const lengthAt = (bytes, at) =>
  byteAt(bytes, at) |
  (byteAt(bytes, at + 1) << 8) |
  (byteAt(bytes, at + 2) << 16) |
  (byteAt(bytes, at + 3) << 24);

/** Memory to send from. It may be reused when it is retired and fully written. */
class Slab {
  retired = false;
  writes = 0;

  /** @param {number} size @param {(slab: Slab) => void} free */
  constructor(size, free) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.written = () => {
      this.writes--;
      this.freeIfDone();
    };
    this.freeIfDone = () => {
      if (this.retired && this.writes === 0) free(this);
    };
  }
}

/** The output of a socket. Bytes are appended at `end`; those before `whole` may be written. */
class FrameWriter {
  /** @type {Slab[]} */
  #free = [];
  #made = 0;
  #from = 0;
  #wake = () => {};
  whole = 0;
  end = 0;

  /** @param {net.Socket} socket @param {number} size bytes of a slab */
  constructor(socket, size) {
    this.socket = socket;
    this.size = size;
    this.slab = this.#take();
  }

  #take() {
    const free = this.#free.pop();
    if (free !== undefined) {
      free.retired = false;
      return free;
    }
    this.#made++;
    return new Slab(this.size, (slab) => {
      this.#free.push(slab);
      this.#wake();
    });
  }

  /** Reserves `length` bytes at `end`. */
  reserve(/** @type {number} */ length) {
    if (this.end + length <= this.size) return;
    this.flush();
    const full = this.slab;
    this.slab = this.#take();
    full.bytes.copy(this.slab.bytes, 0, this.whole, this.end);
    this.end -= this.whole;
    this.#from = this.whole = 0;
    full.retired = true;
    full.freeIfDone();
  }

  /** Writes the whole frames. */
  flush() {
    if (this.#from === this.whole) return;
    const { slab } = this;
    slab.writes++;
    const bytes = slab.bytes.subarray(this.#from, this.whole);
    this.#from = this.whole;
    this.socket.write(bytes, slab.written);
  }

  /** Undefined while fewer than SLABS slabs are in flight; otherwise a promise for that.
   * @returns {Promise<void> | undefined} */
  crowded() {
    const crowded = () => this.#made - this.#free.length > SLABS;
    if (!crowded()) return undefined;
    return new Promise((resolve) => {
      this.#wake = () => {
        if (crowded()) return;
        this.#wake = () => {};
        resolve();
      };
    });
  }
}

// relay4

/** @param {Place} place */
async function relay4(place) {
  /** @type {net.Socket[]} */
  const ends = [];
  await serve(place.socket, (socket) => {
    const mine = ends.push(socket) - 1;
    socket.on('data', (chunk) => {
      const other = ends[1 - mine];
      if (!other?.write(chunk)) socket.pause();
    });
    socket.on('drain', () => ends[1 - mine]?.resume());
  });
}

/** The relay has two ends: of several answering processes, all but the first are idle.
 * @param {Place} place @param {number} number */
async function answerFrames(place, number) {
  if (number > 0) return;
  const socket = await dial(place.socket, (bytes, length) => {
    // Copied, because the rest of an incomplete write outlives this call.
    outgoing.reserve(length);
    bytes.copy(outgoing.slab.bytes, outgoing.end, 0, length);
    outgoing.whole = outgoing.end += length;
    outgoing.flush();
  });
  const outgoing = new FrameWriter(socket, READ);
}

/** @param {Place} place @returns {Promise<Ask>} */
async function askFrames(place) {
  const header = headerOf(place);
  const frame = frameOf(place);
  const inFlight = 64;
  /** The receivers of the next replies, in the order of the requests. @type {Hear[]} */
  const waiting = new Array(inFlight);
  let asked = 0;
  let answered = 0;
  const partial = Buffer.alloc(frame);
  let part = 0;
  let reading = false;
  let scheduled = false;
  const answer = (/** @type {Buffer} */ bytes, /** @type {number} */ at) =>
    waiting[answered++ % inFlight]?.(bytes, at + header, place.size);

  const socket = await dial(place.socket, (bytes, length) => {
    reading = true;
    let at = 0;
    if (part > 0) {
      at = bytes.copy(partial, part, 0, Math.min(length, frame - part));
      part += at;
      if (part === frame) {
        part = 0;
        answer(partial, 0);
      }
    }
    for (; at + frame <= length; at += frame) answer(bytes, at);
    if (at < length) part = bytes.copy(partial, 0, at, length);
    reading = false;
    outgoing.flush();
  });
  const outgoing = new FrameWriter(socket, slabOf(place));
  const flush = () => {
    scheduled = false;
    outgoing.flush();
  };

  return (data, done) => {
    waiting[asked++ % inFlight] = done;
    outgoing.reserve(frame);
    outgoing.slab.bytes.set(data, outgoing.end + header);
    outgoing.whole = outgoing.end += frame;
    if (reading || scheduled) return;
    scheduled = true;
    process.nextTick(flush);
  };
}

// stream

/** Finds the ends of frames in chunks that are cut anywhere. */
class Ends {
  /** The missing bytes of a frame whose length is known. */
  #left = 0;
  /** For a truncated length: the number of its bytes so far, and their value. */
  #seen = 0;
  #value = 0;

  /** The end of the last frame that ends in this chunk; 0 if none does. @param {Uint8Array} chunk */
  last(chunk) {
    const { length } = chunk;
    let at = 0;
    let whole = 0;
    while (at < length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, length - at);
        at += step;
        this.#left -= step;
        if (this.#left === 0) whole = at;
      } else if (this.#seen === 0 && at + 4 <= length) {
        const next = at + 4 + lengthAt(chunk, at);
        if (next > length) {
          this.#left = next - length;
          return whole;
        }
        at = whole = next;
      } else {
        this.#value |= /** @type {number} */ (chunk[at++]) << (8 * this.#seen++);
        if (this.#seen < 4) continue;
        this.#left = this.#value;
        this.#seen = this.#value = 0;
      }
    }
    return whole;
  }
}

/**
 * Cuts chunks into whole frames: calls `each` with every frame, from its
 * length to its end. Bytes are not copied, except those of a frame in several chunks.
 *
 * @param {number} longest
 * @param {(bytes: Buffer, at: number, end: number) => void} each
 * @returns {(bytes: Buffer, length: number) => void}
 */
function split(longest, each) {
  const partial = Buffer.alloc(longest);
  let part = 0;
  return (bytes, length) => {
    let at = 0;
    // First the length, then the rest.
    while (part > 0 && at < length) {
      const wanted = part < 4 ? 4 : 4 + lengthAt(partial, 0);
      const copied = bytes.copy(partial, part, at, Math.min(length, at + wanted - part));
      at += copied;
      part += copied;
      if (part < 4 || part < 4 + lengthAt(partial, 0)) continue;
      each(partial, 0, part);
      part = 0;
    }
    while (at + 4 <= length) {
      const next = at + 4 + lengthAt(bytes, at);
      if (next > length) break;
      each(bytes, at, next);
      at = next;
    }
    if (at < length) part = bytes.copy(partial, 0, at, length);
  };
}

/**
 * Reads from the connections to place.socket, for those to place.socket + '.listen',
 * and only while none of those has a backlog.
 *
 * @param {Place} place
 * @param {(receivers: FrameWriter[]) => (chunk: Buffer) => void} relay  passes a chunk on, in slabs with
 *   room for CHUNK bytes and a frame
 */
async function relayTo(place, relay) {
  /** @type {FrameWriter[]} */
  const receivers = [];
  /** @type {net.Socket[]} */
  const senders = [];
  const behind = () => receivers.some((receiver) => receiver.socket.writableNeedDrain);
  await serve(`${place.socket}.listen`, (socket) => {
    receivers.push(new FrameWriter(socket, slabOf(place) + CHUNK));
    socket.on('drain', () => {
      if (!behind()) for (const sender of senders) sender.resume();
    });
  });
  await serve(place.socket, (socket) => {
    senders.push(socket);
    const pass = relay(receivers);
    socket.on('data', (chunk) => {
      pass(chunk);
      for (const receiver of receivers) receiver.flush();
      if (behind()) socket.pause();
    });
  });
}

/** Passes batches on unparsed. @param {Place} place */
const relayBatches = (place) =>
  relayTo(place, ([receiver]) => {
    if (receiver === undefined) throw new Error('the sender came before the receiver');
    const ends = new Ends();
    return (chunk) => {
      receiver.reserve(chunk.length);
      const { end } = receiver;
      chunk.copy(receiver.slab.bytes, end);
      receiver.end += chunk.length;
      const whole = ends.last(chunk);
      if (whole > 0) receiver.whole = end + whole;
    };
  });

/** Passes each frame on to each receiver, one by one. @param {Place} place */
const relayCopies = (place) =>
  relayTo(place, (receivers) => {
    const pass = split(frameOf(place), (bytes, at, end) => {
      const frame = bytes.subarray(at, end);
      for (const receiver of receivers) {
        receiver.slab.bytes.set(frame, receiver.end);
        receiver.whole = receiver.end += frame.length;
      }
    });
    return (chunk) => {
      for (const receiver of receivers) receiver.reserve(chunk.length + frameOf(place));
      pass(chunk, chunk.length);
    };
  });

/** Passes all whole frames of a chunk on to each receiver, at once. @param {Place} place */
const relayRuns = (place) =>
  relayTo(place, (receivers) => {
    /** @type {Buffer | undefined} */
    let chunk;
    let from = 0;
    let to = 0;
    const copy = (
      /** @type {Buffer} */ bytes,
      /** @type {number} */ at,
      /** @type {number} */ end,
    ) => {
      const frames = bytes.subarray(at, end);
      for (const receiver of receivers) {
        receiver.slab.bytes.set(frames, receiver.end);
        receiver.whole = receiver.end += frames.length;
      }
    };
    const pass = split(frameOf(place), (bytes, at, end) => {
      if (bytes !== chunk) return copy(bytes, at, end); // a frame of several chunks comes before all others
      if (to === 0) from = at;
      to = end;
    });
    return (next) => {
      for (const receiver of receivers) receiver.reserve(next.length + frameOf(place));
      chunk = next;
      to = 0;
      pass(next, next.length);
      if (to > 0) copy(next, from, to);
    };
  });

/** @param {Place} place @param {Hear} hear */
async function listenStream(place, hear) {
  const header = headerOf(place);
  await dial(
    `${place.socket}.listen`,
    split(frameOf(place), (bytes, at, end) => hear(bytes, at + header, end - at - header)),
  );
}

/** @param {Place} place @returns {Promise<Announcer>} */
async function announceStream(place) {
  const header = headerOf(place);
  const socket = await dial(place.socket, () => {});
  const outgoing = new FrameWriter(socket, slabOf(place));
  return {
    send(data) {
      const frame = header + data.length;
      const follow = frame - 4;
      outgoing.reserve(frame);
      const { slab, end } = outgoing;
      const { bytes } = slab;
      bytes[end] = follow;
      bytes[end + 1] = follow >>> 8;
      bytes[end + 2] = follow >>> 16;
      bytes[end + 3] = follow >>> 24;
      bytes.set(data, end + header);
      outgoing.whole = outgoing.end = end + frame;
      return outgoing.crowded();
    },
    async finish() {
      outgoing.flush();
    },
  };
}

/** @type {System} */
export default {
  name: 'floor',
  title: 'floor',
  kind: 'floor',
  over: 'Unix socket',
  how: (workload) => (asks(workload) ? 'relay4' : 'stream'),
  missing: () => undefined,
  versions: () => ({}),
  daemon(place) {
    if (asks(place.workload)) return relay4(place);
    if (place.senders > 1) return relayRuns(place);
    return place.workload === 'fan16' ? relayCopies(place) : relayBatches(place);
  },
  answer: answerFrames,
  ask: askFrames,
  listen: listenStream,
  announce: announceStream,
};
