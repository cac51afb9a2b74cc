import { brand } from '../base/other-copy.ts';
import { checkU32 } from '../base/u32.ts';

export const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * The id of a message on its bus: `[network_id:serial_num]`, both u32; `[0:0]` means unset (spec 1 §3).
 *
 * @example
 * ```ts
 * import { MessageId } from 'kbus';
 *
 * const ids = [new MessageId(0, 9), new MessageId(0, 7)];
 * ids.sort((one, other) => one.compare(other));
 * console.log(String(ids[0]), ids[0]?.equals(new MessageId(0, 7))); // → [0:7] true
 * console.log(MessageId.UNSET.isSet); // → false
 * ```
 */
export class MessageId {
  static readonly UNSET = new MessageId(0, 0);

  readonly networkId: number;
  readonly serialNum: number;

  constructor(networkId: number, serialNum: number) {
    this.networkId = checkU32('networkId', networkId);
    this.serialNum = checkU32('serialNum', serialNum);
  }

  /** False for `[0:0]`. */
  get isSet(): boolean {
    return this.networkId !== 0 || this.serialNum !== 0;
  }

  equals(other: MessageId): boolean {
    return this.networkId === other.networkId && this.serialNum === other.serialNum;
  }

  /** Negative, 0 or positive, by network id and then by serial number: fit for `Array.sort`. */
  compare(other: MessageId): number {
    return this.networkId - other.networkId || this.serialNum - other.serialNum;
  }

  /** As `toString` prints it. */
  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return `[${this.networkId}:${this.serialNum}]`;
  }

  /** @internal */
  [inspect](): string {
    return `MessageId(${this.networkId}, ${this.serialNum})`;
  }
}

/**
 * The origin (`origFrom`) or destination (`finalTo`) of a message that goes through Limpets: a Limpet's network id and the
 * id of a Ksock on its bus, both u32; (0,0) means unset.
 *
 * @example
 * ```ts
 * import { Announcement, OrigFrom } from 'kbus';
 *
 * // As a Limpet with network id 2 passes on what Ksock 5 of its bus has sent.
 * const message = new Announcement('$.Door', null, { origFrom: new OrigFrom(2, 5) });
 * console.log(String(message.origFrom), message.finalTo.isSet); // → (2,5) false
 * ```
 */
export class OrigFrom {
  static readonly UNSET = new OrigFrom(0, 0);

  readonly networkId: number;
  readonly localId: number;

  constructor(networkId: number, localId: number) {
    this.networkId = checkU32('networkId', networkId);
    this.localId = checkU32('localId', localId);
  }

  /** False for (0,0). */
  get isSet(): boolean {
    return this.networkId !== 0 || this.localId !== 0;
  }

  equals(other: OrigFrom): boolean {
    return this.networkId === other.networkId && this.localId === other.localId;
  }

  /** Negative, 0 or positive, by network id and then by local id: fit for `Array.sort`. */
  compare(other: OrigFrom): number {
    return this.networkId - other.networkId || this.localId - other.localId;
  }

  /** As `toString` prints it. */
  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return `(${this.networkId},${this.localId})`;
  }

  /** @internal */
  [inspect](): string {
    return `OrigFrom(${this.networkId}, ${this.localId})`;
  }
}

brand(MessageId, 'MessageId');
brand(OrigFrom, 'OrigFrom');
