import type { Command } from 'commander';
import { escaped, escapedJson, escapedLines } from '../base/escape.ts';
import { Message } from '../message/message.ts';
import { printData } from '../message/print.ts';

/** How messages are printed. */
export interface ShowOptions {
  full?: true;
  dump?: true;
  json?: true;
}

export function addShowOptions(command: Command): Command {
  return command
    .option('--full', 'print all fields of a message')
    .option('--dump', 'print all fields of a message, and its data in hex');
}

/** Prints a message in the format of the options, with a newline at its end; before it the time, if there is one. */
export function showMessage(message: Message, options: ShowOptions, time?: Date): string {
  if (options.json) {
    const json = jsonOf(message);
    return `${escapedJson(time === undefined ? json : { time: time.toISOString(), ...json })}\n`;
  }
  const shown = showAsText(message, options);
  return time === undefined ? `${shown}\n` : `${time.toISOString()} ${shown}\n`;
}

function showAsText(message: Message, { dump: asDump, full }: ShowOptions): string {
  if (asDump) return dump(message);
  return full ? String(message) : summary(message);
}

/** Longer data is cut in a message's summary. */
const MAX_SUMMARY_DATA_BYTES = 200;

/** `Announcement $.Actor.Speak 'Ahem'`. */
function summary(message: Message): string {
  const { kind, data } = message;
  const name = escaped(message.name);
  if (data.length === 0) return `${kind} ${name}`;
  if (data.length <= MAX_SUMMARY_DATA_BYTES) return `${kind} ${name} ${printData(data)}`;
  return `${kind} ${name} ${printData(wholeCharacters(data))}... (${data.length} bytes)`;
}

/** The first bytes, without a part of a UTF-8 character at their end. */
function wholeCharacters(data: Uint8Array): Uint8Array {
  let end = MAX_SUMMARY_DATA_BYTES;
  // A character has at most 4 bytes.
  const min = end - 4;
  while (end > min && ((data[end] as number) & 0xc0) === 0x80) end--;
  return data.subarray(0, end);
}

function dump(message: Message): string {
  const header = Message.fromMessage(message);
  header.data = null;
  const rows = [`${header} ${message.dataLength} bytes`];
  const { data } = message;
  for (let at = 0; at < data.length; at += 16) rows.push(dumpRow(data.subarray(at, at + 16), at));
  return rows.join('\n');
}

/** `00000010  48 65 6c 6c 6f                                    |Hello|`, as hexdump -C writes it. */
function dumpRow(bytes: Uint8Array, at: number): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
  const halves = `${hex.slice(0, 8).join(' ').padEnd(23)}  ${hex.slice(8).join(' ').padEnd(23)}`;
  const text = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
  );
  return `${at.toString(16).padStart(8, '0')}  ${halves}  |${text.join('')}|`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A message as JSON, without unset fields. The data is `data` if it is UTF-8 text, else `hex`. */
export function jsonOf(message: Message): object {
  const { kind, name, id, to, from, origFrom, finalTo, inReplyTo, flags, data } = message;
  return {
    kind,
    name,
    ...(id.isSet && { id: { ...id } }),
    ...(to !== 0 && { to }),
    ...(from !== 0 && { from }),
    ...(origFrom.isSet && { origFrom: { ...origFrom } }),
    ...(finalTo.isSet && { finalTo: { ...finalTo } }),
    ...(inReplyTo.isSet && { inReplyTo: { ...inReplyTo } }),
    ...(flags !== 0 && { flags }),
    ...(data.length > 0 && jsonOfData(data)),
  };
}

function jsonOfData(data: Uint8Array): { data: string } | { hex: string } {
  try {
    return { data: utf8.decode(data) };
  } catch {
    return { hex: Buffer.from(data).toString('hex') };
  }
}

/** Data as it is, if it is text; otherwise in quotes, escaped. */
export function textOfData(data: Uint8Array): string {
  const json = jsonOfData(data);
  return 'hex' in json ? printData(data) : json.data;
}

/** Data for a terminal: text with control characters escaped; binary data in quotes, escaped. */
export function forTerminal(data: Uint8Array): string {
  const json = jsonOfData(data);
  if ('hex' in json) return `${printData(data)}\n`;
  const text = escapedLines(json.data);
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
