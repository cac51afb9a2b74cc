import type { Head } from '../head.ts';
import { ByNumber } from './by-number.ts';

/** The words of a record's head (records.ts). */
interface Words {
  readonly to: number;
  readonly replyNetwork: number;
  readonly replySerial: number;
  readonly idNetwork: number;
  readonly origNetwork: number;
  readonly origLocal: number;
  readonly finalNetwork: number;
  readonly finalLocal: number;
}

/**
 * The heads of messages of other buses that have come: of each name the latest, by the number of the name, since most come
 * from one sender. (The heads that messages of this bus get there: carried-head.ts.)
 */
export class ForeignHeads {
  private readonly heads = new ByNumber<Head>();

  /** The head with these flags and words, but for the serial number of the id. */
  find(number: number, flags: number, words: Words): Head | undefined {
    const head = words.idNetwork === 0 ? undefined : this.heads.get(number);
    if (head === undefined) return undefined;
    const { finalTo, origFrom } = head;
    const isAlike =
      head.flags === flags &&
      head.idNetwork === words.idNetwork &&
      origFrom.networkId === words.origNetwork &&
      origFrom.localId === words.origLocal &&
      finalTo.networkId === words.finalNetwork &&
      finalTo.localId === words.finalLocal &&
      head.to === words.to &&
      (words.replyNetwork | words.replySerial) === 0;
    return isAlike ? head : undefined;
  }

  keep(number: number, head: Head): void {
    if (number !== 0 && head.idNetwork !== 0 && !head.isReply) this.heads.set(number, head);
  }
}
