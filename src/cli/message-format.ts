import { InvalidArgumentError } from 'commander';
import { escaped, escapedJson } from '../base/escape.ts';
import { nearest } from '../base/nearest.ts';
import { flagsToString } from '../message/flags.ts';
import type { Message } from '../message/message.ts';
import { jsonOf, showMessage, textOfData } from './show.ts';

/** Prints a message that came at `time`, with an end of line. */
export type Format = (message: Message, time: Date) => string;

const NAMED: Readonly<Record<string, Format>> = {
  line: (message) => showMessage(message, {}),
  jsonl: (message) => `${escapedJson(jsonOf(message))}\n`,
  hex: ({ kind, name, data }) => `${kind} ${escaped(name)} ${hexOf(data)}`.trimEnd().concat('\n'),
};

/** What may stand in a template, in braces. */
const FIELDS: Readonly<Record<string, Format>> = {
  time: (_message, time) => time.toISOString(),
  kind: ({ kind }) => kind,
  name: ({ name }) => name,
  id: ({ id }) => String(id),
  from: ({ from }) => String(from),
  to: ({ to }) => String(to),
  inReplyTo: ({ inReplyTo }) => String(inReplyTo),
  flags: ({ flags }) => flagsToString(flags),
  size: ({ dataLength }) => String(dataLength),
  data: ({ data }) => textOfData(data),
  hex: ({ data }) => hexOf(data),
};

/** Parses the option --format. */
export function formatNamed(text: string): Format {
  if (Object.hasOwn(NAMED, text)) return NAMED[text] as Format;
  if (text.includes('{')) return template(text);
  const names = Object.keys(NAMED);
  const meant = nearest(text, names);
  throw new InvalidArgumentError(
    `It is ${names.join(', ')}, or a template with fields in braces, such as '{name} {data}'.${meant === undefined ? '' : ` (Did you mean ${meant}?)`}`,
  );
}

function template(text: string): Format {
  const parts: Format[] = [];
  let rest = text;
  while (rest !== '') {
    const [whole, plain, field] = rest.match(
      /^((?:[^{]|\{\{)*)(?:\{([^{}]*)\})?/,
    ) as RegExpMatchArray;
    if (whole === '')
      throw new InvalidArgumentError(`It has a '{' without a '}': write {{ for a brace.`);
    const literal = (plain as string).replaceAll('{{', '{');
    if (literal !== '') parts.push(() => literal);
    if (field !== undefined) parts.push(fieldNamed(field));
    rest = rest.slice(whole.length);
  }
  return (message, time) => {
    const line = parts.map((part) => part(message, time)).join('');
    return `${escaped(line)}\n`;
  };
}

function fieldNamed(name: string): Format {
  if (Object.hasOwn(FIELDS, name)) return FIELDS[name] as Format;
  const names = Object.keys(FIELDS);
  const meant = nearest(name, names);
  throw new InvalidArgumentError(
    `There is no field {${escaped(name)}}; the fields are ${names.join(', ')}.${meant === undefined ? '' : ` (Did you mean {${meant}}?)`}`,
  );
}

function hexOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
}
