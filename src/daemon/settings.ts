import { BUS_DEFAULTS, type BusSettings, MAX_BUSES, MIN_MESSAGE_SIZE } from '../bus/settings.ts';
import type { AccessPoint } from './access-points.ts';

/** The least history that holds something worth looking at, in bytes. */
export const MIN_HISTORY = 256 * 1024;

export const DEFAULT_MAX_CONNECTIONS = 4096;
export const DEFAULT_HELLO_TIMEOUT_S = 30;
export const DEFAULT_WEB_TIMEOUT_S = 30;
/** The least memory in bytes with which a bus can work. */
const MIN_MAX_MEMORY = 1024 * 1024;

/** The type of a setting: what its value must be, and how options, files and help texts show it. */
export type ValueKind =
  | { readonly kind: 'number'; readonly min: number; readonly max: number; readonly unit?: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'text'; readonly placeholder: string }
  /** Permission bits, as octal digits in a string: a TOML number would be decimal. */
  | { readonly kind: 'mode' }
  | { readonly kind: 'switch' };

export type Setting = ValueKind & {
  readonly default?: number | string | boolean;
  /** The default in words, if it is not one value. */
  readonly otherwise?: string;
  /** The help text: one phrase, without a capital and a full stop. */
  readonly help: string;
};

/**
 * The daemon's settings. This table defines the options of `kbus serve` (`--max-messages`), the keys of its
 * configuration file (`max-messages`), and their help texts.
 */
export const SETTINGS = {
  buses: {
    kind: 'number',
    min: 1,
    max: MAX_BUSES,
    default: 1,
    help: 'number of buses at the start, numbered from 0',
  },
  directory: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: '$KBUS_DIR; else /run/kbus for root, and $XDG_RUNTIME_DIR/kbus for others',
    help: 'folder of the sockets; created if it does not exist',
  },
  mode: {
    kind: 'mode',
    otherwise: '0600, or 0660 with a group',
    help: 'permission bits of each socket and device file: who may use the buses with all rights',
  },
  group: {
    kind: 'text',
    placeholder: 'name or number',
    otherwise: "the daemon's own",
    help: 'group of each socket and device file',
  },
  device: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: 'no device files',
    help: 'serve each bus as a file too, kbus0 and so on, in this folder (Linux; needs permission to mount)',
  },
  link: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: 'no links',
    help: 'with a device: folder for a symbolic link to each of its files, such as /dev',
  },
  'device-mode': {
    kind: 'mode',
    otherwise: 'those of the sockets',
    help: 'permission bits of each device file',
  },
  'device-group': {
    kind: 'text',
    placeholder: 'name or number',
    otherwise: 'that of the sockets',
    help: 'group of each device file',
  },
  'device-access': {
    kind: 'text',
    placeholder: 'access point',
    otherwise: 'all rights',
    help: 'access point of the configuration file whose rights programs at device files have',
  },
  web: {
    kind: 'text',
    placeholder: 'address',
    otherwise: 'no web',
    help: 'serve browsers too, at an address such as 127.0.0.1:8080 or the path of a Unix socket; kbus web prints the page',
  },
  'web-origins': {
    kind: 'text',
    placeholder: 'origins',
    otherwise: 'its own pages only',
    help: 'with web: origins whose pages are admitted too, with commas between them, such as that of a proxy',
  },
  'web-cert': {
    kind: 'text',
    placeholder: 'file',
    otherwise: 'no TLS',
    help: 'with web: certificate for TLS, with its chain, in PEM',
  },
  'web-key': {
    kind: 'text',
    placeholder: 'file',
    otherwise: 'no TLS',
    help: 'with web: key of the certificate, in PEM',
  },
  'web-timeout': {
    kind: 'number',
    min: 1,
    max: 86_400,
    unit: 'seconds',
    default: DEFAULT_WEB_TIMEOUT_S,
    help: 'with web: time after which a page that gives no sign of life has gone',
  },
  'web-keep-tokens': {
    kind: 'switch',
    default: false,
    help: 'with web: keep the tokens of the last start, so that open pages come back after a restart',
  },
  insecure: {
    kind: 'switch',
    default: false,
    help: 'with web: serve without TLS even where others on the network can read the token and all messages',
  },
  'max-message-size': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: 0x7fff_ffff,
    unit: 'bytes',
    default: BUS_DEFAULTS.maxMessageSize,
    help: 'largest message that a bus accepts, until a program sets another size',
  },
  'absolute-max-message-size': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: 0x7fff_ffff,
    unit: 'bytes',
    otherwise: `${BUS_DEFAULTS.absoluteMaxMessageSize}, or max-message-size if that is larger`,
    help: 'largest message size that a program may set',
  },
  'max-messages': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxMessages,
    help: 'maximum number of unread messages in the queue of a new Ksock',
  },
  'max-memory': {
    kind: 'number',
    min: MIN_MAX_MEMORY,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    otherwise: "half of the machine's memory, or less if V8 may not use so much",
    help: 'maximum memory that all programs may hold together: unread messages, unanswered Requests, bindings and more',
  },
  'max-queued-bytes-per-ksock': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    default: BUS_DEFAULTS.maxQueuedBytesPerKsock,
    help: 'maximum memory for the unread messages of one Ksock; beyond it, its queue is full',
  },
  'max-bindings': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxBindings,
    help: 'maximum number of bindings on one bus',
  },
  'max-bindings-per-ksock': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxBindingsPerKsock,
    help: 'maximum number of bindings of one Ksock',
  },
  'max-unanswered-per-ksock': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxUnansweredPerKsock,
    help: 'maximum number of Requests that one Ksock has read and not answered; beyond it, it gets no more',
  },
  'max-connections': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: DEFAULT_MAX_CONNECTIONS,
    help: 'maximum number of connections and open device files, on all buses together',
  },
  'hello-timeout': {
    kind: 'number',
    min: 1,
    max: 3600,
    unit: 'seconds',
    default: DEFAULT_HELLO_TIMEOUT_S,
    help: 'time within which a new connection must send HELLO',
  },
  spin: {
    kind: 'number',
    min: 0,
    max: 1000,
    unit: 'microseconds',
    default: 0,
    help: 'time for which the daemon polls after each read: answers are faster, but it uses up to a core',
  },
  history: {
    kind: 'number',
    min: 0,
    max: 2 ** 30,
    unit: 'bytes',
    default: 0,
    help: 'keep this much of the last events of each bus, for kbus trace --past and kbus record --past: from 262144, or 0 for none. It holds the data of messages, and costs speed',
  },
  log: {
    kind: 'choice',
    choices: ['human', 'json'],
    default: 'human',
    help: 'format of the log',
  },
  verbose: {
    kind: 'switch',
    default: false,
    help: 'log every event on every bus',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends { kind: 'number' }
  ? number
  : S extends { kind: 'switch' }
    ? boolean
    : S extends { choices: readonly (infer Choice)[] }
      ? Choice
      : string;

/** An access point of the configuration file: a table `[[access]]`. */
export type GivenAccess = Omit<AccessPoint, 'socket' | 'listening'> & {
  /** As the settings of these names, which are those of the socket without a name. */
  readonly mode?: string;
  readonly group?: string;
};

/** The settings that the user gave, by name. */
export type Given = { [Name in SettingName]?: ValueOf<(typeof SETTINGS)[Name]> } & {
  /** Only in a file. */
  access?: readonly GivenAccess[];
};

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** By unit: how its values may be written, too. */
const EXAMPLES: Readonly<Record<string, string>> = { bytes: '64MiB', seconds: '2min' };

/** What a setting's value must be, to follow "must be". */
export function requirementOf(setting: Setting): string {
  switch (setting.kind) {
    case 'number': {
      const unit = setting.unit === undefined ? '' : ` of ${setting.unit}`;
      const example = EXAMPLES[setting.unit ?? ''];
      const written = example === undefined ? '' : `, or such as ${example}`;
      return `a whole number${unit} from ${setting.min} to ${setting.max}${written}`;
    }
    case 'choice':
      return setting.choices.join(' or ');
    case 'mode':
      return 'permission bits in octal and in quotes, such as "0660"';
    case 'switch':
      return 'true or false';
    case 'text':
      return `a ${setting.placeholder}, as a string that is not empty`;
  }
}

/** The option that sets a setting of a bus: `max-messages` for `maxMessages`. */
export function optionOf(name: keyof BusSettings): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
