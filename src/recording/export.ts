import { crc32 } from 'node:zlib';
import type { MessageJson } from '../message/json.ts';
import { jsonOfMessage } from '../message/json.ts';
import type { TapEvent } from '../tap/events.ts';
import { MAX_CHANNELS, OTHERS_TOPIC, setMicroseconds } from './mcap-format.ts';
import { type Channel, McapWriter } from './mcap-writer.ts';
import type { RecordedEvent } from './recording.ts';

// Recordings in the formats of others.

/** An event as an object for JSON: a message has the fields that `kbus listen --json` prints. */
export function jsonOfEvent({ event, source }: RecordedEvent): object {
  const { time, type, ...fields } = event;
  const at = { time: isoTime(time), ...(source > 0 && { source }), type };
  if (event.type === 'messages') return { ...at, ...messageOf(event) };
  const plain = Object.entries(fields)
    .filter(([key]) => key !== 'messages')
    .map(([key, value]) => [key, typeof value === 'object' ? String(value) : value]);
  const refused = event.type === 'refused' ? { message: messageOf(event) } : {};
  return { ...at, ...Object.fromEntries(plain), ...refused };
}

function messageOf({
  messages,
}: Pick<Extract<TapEvent, { type: 'messages' }>, 'messages'>): object {
  const [message] = messages;
  if (message === undefined) return {};
  const json: MessageJson = jsonOfMessage(message);
  const isCut = message.wholeLength > message.dataLength;
  return isCut ? { ...json, wholeLength: message.wholeLength } : json;
}

/** Microseconds since 1970 as `2026-11-29T18:07:57.000123Z`. */
export function isoTime(microseconds: number): string {
  const ms = Math.floor(microseconds / 1000);
  // JavaScript has no later dates.
  if (ms > 8.64e15) return `${microseconds} us`;
  const micro = String(microseconds % 1000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${micro}Z`);
}

/** A link type that no standard uses: those who look at the file tell their program what it means. */
export const LINKTYPE_USER0 = 147;

const NO_DATA = new Uint8Array(0);

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
/** The time is in microseconds unless an interface says otherwise. */
const VERSION = 0x0000_0001;

/** The beginning of a pcapng file: one interface, of {@link LINKTYPE_USER0}. Each packet is an event: its code and fields. */
export function pcapngHead(): Uint8Array {
  const section = block(SECTION_HEADER, [BYTE_ORDER, VERSION, 0xffff_ffff, 0xffff_ffff]);
  const link = block(INTERFACE, [LINKTYPE_USER0, 0]);
  const head = new Uint8Array(section.length + link.length);
  head.set(section);
  head.set(link, section.length);
  return head;
}

export function pcapngPacket({ bytes, event }: RecordedEvent): Uint8Array {
  const high = Math.floor(event.time / 2 ** 32);
  const low = event.time % 2 ** 32;
  return block(ENHANCED_PACKET, [0, high, low, bytes.length, bytes.length], bytes);
}

function block(type: number, words: readonly number[], data: Uint8Array = NO_DATA): Uint8Array {
  const padded = (data.length + 3) & ~3;
  const length = 12 + words.length * 4 + padded;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  [type, length, ...words].forEach((word, at) => {
    view.setUint32(at * 4, word, true);
  });
  bytes.set(data, 8 + words.length * 4);
  view.setUint32(length - 4, length, true);
  return bytes;
}

/** What viewers of MCAP know of a message: they show no opaque bytes, but JSON with a schema. */
const MESSAGE_SCHEMA = {
  type: 'object',
  properties: {
    time: { type: 'string', format: 'date-time' },
    kind: { type: 'string' },
    name: { type: 'string' },
    id: { type: 'string' },
    from: { type: 'number' },
    to: { type: 'number' },
    inReplyTo: { type: 'string' },
    flags: { type: 'string' },
    data: {
      type: ['string', 'object'],
      description: 'text; or, if it is not UTF-8, base64 and length',
    },
    value: { description: 'the data, if it is JSON' },
  },
};

/** Messages as JSON with a schema, in an MCAP file: a channel for each name. It has no other events. */
export class JsonMcap {
  private readonly mcap = new McapWriter('kbus', crc32, {
    profile: '',
    encoding: 'json',
    schema: { name: 'kbus.Message', json: MESSAGE_SCHEMA },
  });
  private readonly channels = new Map<string, Channel>();
  private readonly time = { high: 0, low: 0 };

  begin(): Uint8Array {
    return this.mcap.begin();
  }

  /** Adds an event; gives bytes to write, if a part of the file is complete. */
  add(one: RecordedEvent): Uint8Array | null {
    const { event } = one;
    const [message] = event.type === 'messages' ? event.messages : [];
    if (message === undefined) return null;
    const { mcap, time } = this;
    setMicroseconds(time, event.time);
    const value = jsonIn(message.data);
    const json = { ...jsonOfEvent(one), ...(value !== undefined && { value }) };
    const bytes = new TextEncoder().encode(JSON.stringify(json));
    mcap.beginMessage(this.channelOf(message.name), time, bytes.length).raw(bytes);
    mcap.endMessage();
    return mcap.isFull ? mcap.endChunk() : null;
  }

  private channelOf(name: string): Channel {
    const topic = this.channels.size < MAX_CHANNELS ? name : OTHERS_TOPIC;
    const known = this.channels.get(name) ?? this.channels.get(topic);
    if (known !== undefined) return known;
    const channel = this.mcap.addChannel(topic, {});
    this.channels.set(topic, channel);
    return channel;
  }

  end(): Uint8Array[] {
    const { mcap } = this;
    return mcap.isEmpty ? [mcap.end()] : [mcap.endChunk(), mcap.end()];
  }
}

/** Data that is JSON, so that a viewer can draw its numbers; undefined for any other. */
function jsonIn(data: Uint8Array): unknown {
  try {
    return JSON.parse(strict.decode(data));
  } catch {
    return undefined;
  }
}

const strict = new TextDecoder('utf-8', { fatal: true });
