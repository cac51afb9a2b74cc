import { BUS_DEFAULTS, MAX_BUSES, MIN_MESSAGE_SIZE } from '../bus/settings.ts';

/** How many connections a daemon takes unless it is told otherwise. */
export const MAX_CONNECTIONS = 16_384;

/** Within how many seconds a connection must have said HELLO, unless the daemon is told otherwise. */
export const HELLO_TIMEOUT = 30;

/** What a value must be, and how it is written: as an option, in a file, in the documentation. */
export type ValueKind =
  | { readonly kind: 'number'; readonly min: number; readonly max: number; readonly unit?: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'text'; readonly placeholder: string }
  /** Permission bits, as octal digits in text: a bare number would be read as decimal. */
  | { readonly kind: 'mode' }
  | { readonly kind: 'switch' };

export type Setting = ValueKind & {
  readonly default?: number | string | boolean;
  /** What holds when the setting is not given, where that is not one value. */
  readonly otherwise?: string;
  /** What it decides: one sentence, without a capital and a full stop. */
  readonly says: string;
};

/**
 * The daemon's settings. The option `--max-messages` of `kbus serve`, the key `max-messages` of its
 * configuration file and their documentation all come from this table.
 */
export const SETTINGS = {
  buses: {
    kind: 'number',
    min: 1,
    max: MAX_BUSES,
    default: 1,
    says: 'how many buses there are at the start, numbered from 0',
  },
  directory: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: '$KBUS_DIR; else /run/kbus for root, and $XDG_RUNTIME_DIR/kbus for others',
    says: 'folder of the sockets; made if it is not there',
  },
  mode: {
    kind: 'mode',
    otherwise: '0600, or 0660 with a group',
    says: 'who may use the buses: permission bits of each socket and device file',
  },
  group: {
    kind: 'text',
    placeholder: 'name or number',
    otherwise: "the daemon's own",
    says: 'the group that each socket and device file belongs to',
  },
  device: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: 'no files',
    says: 'serves each bus as a file too, kbus0 and so on, in this folder (Linux; takes the right to mount)',
  },
  link: {
    kind: 'text',
    placeholder: 'folder',
    otherwise: 'no links',
    says: 'with a device: folder that gets a link to each of its files, such as /dev',
  },
  'max-message-size': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: 0x7fff_ffff,
    unit: 'bytes',
    default: BUS_DEFAULTS.maxMessageSize,
    says: 'the largest message a bus takes, until a program sets another size',
  },
  'absolute-max-message-size': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: 0x7fff_ffff,
    unit: 'bytes',
    otherwise: `${BUS_DEFAULTS.absoluteMaxMessageSize}, or max-message-size if that is larger`,
    says: 'the largest size that a program may set',
  },
  'max-messages': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxMessages,
    says: 'how many unread messages the queue of a new Ksock may hold',
  },
  'max-queued-bytes': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    default: BUS_DEFAULTS.maxQueuedBytes,
    says: 'how much one bus may keep: its unread messages and unanswered Requests',
  },
  'max-queued-bytes-per-ksock': {
    kind: 'number',
    min: MIN_MESSAGE_SIZE,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    default: BUS_DEFAULTS.maxQueuedBytesPerKsock,
    says: 'how much of that the unread messages of one Ksock may have; then its queue is full',
  },
  'max-bindings': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxBindings,
    says: 'how many bindings there may be on one bus',
  },
  'max-bindings-per-ksock': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxBindingsPerKsock,
    says: 'how many bindings one Ksock may have',
  },
  'max-unanswered-per-ksock': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: BUS_DEFAULTS.maxUnansweredPerKsock,
    says: 'how many Requests one Ksock may have read and not answered before it is given no more',
  },
  'max-connections': {
    kind: 'number',
    min: 1,
    max: 0xffff_ffff,
    default: MAX_CONNECTIONS,
    says: 'how many connections and open device files there may be, on all buses together',
  },
  'hello-timeout': {
    kind: 'number',
    min: 1,
    max: 3600,
    unit: 'seconds',
    default: HELLO_TIMEOUT,
    says: 'how long a new connection may take to say who it is',
  },
  spin: {
    kind: 'number',
    min: 0,
    max: 1000,
    unit: 'microseconds',
    default: 0,
    says: 'how long the daemon stays awake after something came: answers are faster, for up to a core',
  },
  log: {
    kind: 'choice',
    choices: ['human', 'json'],
    default: 'human',
    says: 'how the log is written',
  },
  verbose: {
    kind: 'switch',
    default: false,
    says: 'writes what happens on every bus to the log',
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

/** The settings that were given, by name. */
export type Given = { [Name in SettingName]?: ValueOf<(typeof SETTINGS)[Name]> };

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** What a value of a setting must be: it follows "must be". */
export function wants(setting: Setting): string {
  switch (setting.kind) {
    case 'number': {
      const unit = setting.unit === undefined ? '' : ` of ${setting.unit}`;
      return `a whole number${unit} from ${setting.min} to ${setting.max}`;
    }
    case 'choice':
      return setting.choices.join(' or ');
    case 'mode':
      return 'permission bits in octal and in quotes, such as "0660"';
    case 'switch':
      return 'true or false';
    case 'text':
      return `a ${setting.placeholder}, as text that is not empty`;
  }
}
