// The program that test/client/browser.test.ts bundles, and runs as a browser would.

import { Ksock } from '../../../src/client/browser.ts';
import { FramePort } from '../../../src/client/ports/frame-port.ts';
import { Announcement, KbusError } from '../../../src/message/index.ts';
import type { Channel, ChannelEvents } from '../../../src/transport/channel.ts';
import { wordsFrame, writeFrameHeader } from '../../../src/wire/frame.ts';
import { FrameReader } from '../../../src/wire/frame-reader.ts';
import {
  FRAME_AT,
  FRAME_HEADER,
  FrameKind,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  RECORDS_AT,
} from '../../../src/wire/protocol.ts';

const KSOCK_ID = 7;
const MAX_FRAME_BYTES = 65_536;

/** A channel to a daemon that sends WELCOME, and sends each message back to the client. */
class EchoChannel implements Channel {
  readonly backlog = 0;
  private readonly events: ChannelEvents;
  private readonly reader = new FrameReader(MAX_FRAME_BYTES);
  private serial = 1;

  constructor(events: ChannelEvents) {
    this.events = events;
  }

  write(pieces: readonly Uint8Array[]): void {
    // The client may reuse its memory.
    for (const piece of pieces) {
      this.reader.push(piece.slice());
      while (this.reader.read()) this.answer(this.reader);
    }
  }

  private answer({ bytes, at, length }: FrameReader): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
    const token = view.getUint32(FRAME_AT.token);
    const kind = view.getUint8(FRAME_AT.kind);
    if (kind === FrameKind.HELLO) {
      const limits = [1, 1000, MAX_FRAME_BYTES, MAX_FRAME_BYTES];
      const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, 0, KSOCK_ID, ...limits];
      this.say(wordsFrame(FrameKind.WELCOME, 0, 0, 0, words));
    } else if (kind === FrameKind.CALL) {
      this.say(wordsFrame(FrameKind.RESULT, 0, 0, token, [0, 0]));
    } else if (kind === FrameKind.SEND) {
      const count = view.getUint32(FRAME_HEADER);
      this.say(wordsFrame(FrameKind.SENT, 0, 0, token, [count, 0, this.serial, 0]));
      this.say(this.prefetch(bytes.subarray(at + RECORDS_AT, at + length), count));
      this.serial += count;
    }
  }

  /** The frame with these records. */
  private prefetch(records: Uint8Array, count: number): Uint8Array {
    const head = wordsFrame(FrameKind.PREFETCH, 0, 0, 0, [count, KSOCK_ID, this.serial]);
    const frame = new Uint8Array(head.length + records.length);
    frame.set(head);
    frame.set(records, head.length);
    const view = new DataView(frame.buffer);
    writeFrameHeader(view, 0, frame.length, FrameKind.PREFETCH, 0, 0, 0);
    return frame;
  }

  private say(frame: Uint8Array): void {
    queueMicrotask(() => this.events.received(frame, 0, frame.length));
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    queueMicrotask(() => this.events.closed(null));
  }
}

/** Opens a Ksock, sends a message and receives it; gives what it saw. */
export async function run(): Promise<string[]> {
  const ksock = await Ksock.open((mode, events, signal) =>
    FramePort.open(
      (toldTo) => new EchoChannel(toldTo),
      {
        mode,
        pid: 0,
        program: 'browser',
        defer: queueMicrotask,
        deferLonger: (flush) => void setTimeout(flush, 0),
      },
      events,
      signal,
    ),
  );
  const saw = [String(ksock)];
  let hear: (text: string) => void = () => {};
  const heard = new Promise<string>((resolve) => {
    hear = resolve;
  });
  await ksock.listener('$.News', (message) => hear(`${message.id} ${message.text()}`));
  const id = await ksock.sendMsg(new Announcement('$.News', 'grüezi'));
  saw.push(`sent ${id}`, `heard ${await heard}`);
  await ksock.close();
  const refused: unknown = await ksock.sendMsg(new Announcement('$.News')).catch((error) => error);
  saw.push(refused instanceof KbusError ? refused.code : String(refused));
  return saw;
}
