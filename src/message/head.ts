import { checkOptions } from '../base/options.ts';
import { isOfOtherCopy } from '../base/other-copy.ts';
import { checkU32 } from '../base/u32.ts';
import type { MessageOptions } from './fields.ts';
import { Flag } from './flags.ts';
import { MessageId, OrigFrom } from './id.ts';

const ASKED = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;

/**
 * All of a message but its serial number, sender and data. It never changes, so messages of one name mostly share one,
 * and whoever handles them need look at it once.
 */
export class Head {
  readonly name: string;
  readonly flags: number;
  readonly to: number;
  readonly idNetwork: number;
  // in_reply_to as numbers: few programs ask for it.
  readonly replyNetwork: number;
  readonly replySerial: number;
  readonly origFrom: OrigFrom;
  readonly finalTo: OrigFrom;
  /** The sender has set nothing but name and flags. */
  readonly isPlain: boolean;
  /** The client has checked that the name and flags may be sent. */
  isFit = false;
  /** The number of the name on a connection, or 0; and what says of which: see ToldNames. */
  number = 0;
  numberedBy: object | null = null;
  /** What the reader of the last message with this head noted about such messages. */
  note: object | null = null;

  constructor(
    name: string,
    flags: number,
    to = 0,
    idNetwork = 0,
    replyNetwork = 0,
    replySerial = 0,
    origFrom: OrigFrom = OrigFrom.UNSET,
    finalTo: OrigFrom = OrigFrom.UNSET,
  ) {
    this.name = name;
    this.flags = flags;
    this.to = to;
    this.idNetwork = idNetwork;
    this.replyNetwork = replyNetwork;
    this.replySerial = replySerial;
    this.origFrom = origFrom;
    this.finalTo = finalTo;
    this.isPlain =
      (to | replySerial | replyNetwork | idNetwork) === 0 && !origFrom.isSet && !finalTo.isSet;
  }

  get inReplyTo(): MessageId {
    const { replyNetwork, replySerial } = this;
    return this.isReply ? new MessageId(replyNetwork, replySerial) : MessageId.UNSET;
  }

  get isReply(): boolean {
    return this.replySerial !== 0 || this.replyNetwork !== 0;
  }

  /** This copy of the Request is the one that its reader must answer. */
  get wantsUsToReply(): boolean {
    return (this.flags & ASKED) === ASKED;
  }

  /** The head of the SAME record `count` places behind: the serial numbers that Replies answer rise by one. */
  further(count: number): Head {
    return this.isReply ? this.with({ replySerial: this.replySerial + count }) : this;
  }

  /** A copy with some fields changed. */
  with(changes: Partial<Omit<Head, 'isFit' | 'isPlain' | 'note' | 'number' | 'numberedBy'>>): Head {
    const { inReplyTo } = changes;
    return new Head(
      changes.name ?? this.name,
      changes.flags ?? this.flags,
      changes.to ?? this.to,
      changes.idNetwork ?? this.idNetwork,
      inReplyTo?.networkId ?? this.replyNetwork,
      inReplyTo?.serialNum ?? changes.replySerial ?? this.replySerial,
      changes.origFrom ?? this.origFrom,
      changes.finalTo ?? this.finalTo,
    );
  }
}

/** How many heads of plain messages are kept. */
const MAX_PLAIN_HEADS = 4096;

const plain = new Map<string, Head>();

/** The head of a message with nothing but name and flags. It is kept: a program that sends one will send more. */
export function plainHead(name: string, flags: number): Head {
  const known = plain.get(name);
  if (known !== undefined && known.flags === flags) return known;
  const head = new Head(checkName(name), flags);
  if (plain.size >= MAX_PLAIN_HEADS) plain.clear();
  plain.set(name, head);
  return head;
}

const OPTIONS: ReadonlySet<string> = new Set<keyof MessageOptions>([
  'to',
  'from',
  'origFrom',
  'finalTo',
  'inReplyTo',
  'flags',
  'id',
]);

/** The head with these fields, and `more` flags. Throws a TypeError that names a field of the wrong type. */
export function headOf(name: string, options: MessageOptions | Head, more: number): Head {
  if (options instanceof Head) return options;
  checkOptions('a message', options, OPTIONS);
  const { to, flags = 0, id, inReplyTo, origFrom, finalTo } = options;
  const allFlags = (checkU32('flags', flags) | more) >>> 0;
  if ((to ?? id ?? inReplyTo ?? origFrom ?? finalTo) === undefined) {
    return plainHead(name, allFlags);
  }
  const answered = idOf(MessageId.UNSET, 'inReplyTo', inReplyTo);
  return new Head(
    checkName(name),
    allFlags,
    checkU32('to', to ?? 0),
    idOf(MessageId.UNSET, 'id', id).networkId,
    answered.networkId,
    answered.serialNum,
    idOf(OrigFrom.UNSET, 'origFrom', origFrom),
    idOf(OrigFrom.UNSET, 'finalTo', finalTo),
  );
}

function checkName(name: string): string {
  if (typeof name === 'string') return name;
  throw new TypeError(`name must be a string such as '$.Sensor.Kitchen', not ${typeof name}`);
}

/** The value, or the unset one. Throws a TypeError that names a value of another class. */
function idOf<T extends MessageId | OrigFrom>(unset: T, what: string, value: T = unset): T {
  const Wanted = unset.constructor as new (network: number, other: number) => T;
  if (value instanceof Wanted) return value;
  if (isOfOtherCopy(Wanted, value)) {
    const { networkId } = value;
    return new Wanted(networkId, 'serialNum' in value ? value.serialNum : value.localId);
  }
  throw new TypeError(`${what} must be of class ${Wanted.name}, not ${typeof value}`);
}
