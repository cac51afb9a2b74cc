import type { Binding } from './binding-tree.ts';
import type { BusState } from './bus-state.ts';
import { type KsockState, ksockOf } from './ksock-state.ts';
import { RequestEvent } from './ledger.ts';
import type { Queueing } from './queueing.ts';
import { type RequestRecord, RequestState } from './requests.ts';
import type { RoomWaits } from './room-waits.ts';

/** A requester gives up a Request (spec 1 §8.2). */
export class GivingUp {
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly queueing: Queueing;

  constructor(state: BusState, room: RoomWaits, queueing: Queueing) {
    this.state = state;
    this.room = room;
    this.queueing = queueing;
  }

  /** Whether the Request of this token was taken back: it was unread, and nobody will carry it out. */
  forget(ksock: KsockState, token: number): boolean {
    const record = ksock.outstanding.byToken(token);
    if (record?.replier == null) {
      this.state.observer?.forgotten?.(ksock, token, false, null);
      return false;
    }
    const replier = ksockOf(record.replier);
    const isTakenBack =
      record.state === RequestState.UNREAD &&
      (record.isOwed || !replier.isOpen || this.takeBack(replier, record));
    this.queueing.ledger.apply(record, RequestEvent.GIVE_UP, 0);
    this.room.noteAnswered(record);
    this.state.observer?.forgotten?.(ksock, token, isTakenBack, record);
    if (isTakenBack) this.room.noteRoom(replier);
    this.room.noteRoom(ksock);
    // A Reply that waits for room can't be sent any more.
    const { sending } = replier;
    if (sending?.isReply === true && sending.to === ksock.id) this.room.tellAll([replier]);
    this.room.tellOfRoom();
    return isTakenBack;
  }

  /**
   * Removes an unread Request from its Replier's queue; listeners keep their copies. False when a driver has
   * shown it to the Replier's program already, which may be at work on it.
   */
  private takeBack({ queue, share }: KsockState, record: RequestRecord): boolean {
    const found = queue.findRequest(record);
    this.state.work.done += found === null ? queue.entries : found.entry;
    if (found === null) return false;
    const { entry, index } = found;
    const batch = queue.batch(entry);
    (queue.binding(entry) as Binding).queued--;
    const parts = queue.takeOut(entry, index);
    if (parts !== null) {
      for (const part of parts) this.queueing.hold(part, share);
      this.queueing.letGo(batch, share);
    }
    return true;
  }
}
