import { ASK, type Setting } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import type { BindReports } from './bind-reports.ts';
import type { BusState } from './bus-state.ts';
import { DebugLog } from './debug-log.ts';
import type { KsockState } from './ksock-state.ts';
import type { RoomWaits } from './room-waits.ts';
import { MIN_MESSAGE_SIZE } from './settings.ts';
import type { Watchers } from './watchers.ts';

/** What programs may set while the bus runs (spec 1 §10). */
export class Switches {
  /** Where the debug log goes while `verbose` is on. */
  onLog: ((text: string) => void) | null = null;
  private readonly state: BusState;
  private readonly room: RoomWaits;
  private readonly bindReports: BindReports;
  private readonly watchers: Watchers;
  private readonly debugLog = new DebugLog((text) => this.onLog?.(text));

  constructor(state: BusState, room: RoomWaits, bindReports: BindReports, watchers: Watchers) {
    this.state = state;
    this.room = room;
    this.bindReports = bindReports;
    this.watchers = watchers;
  }

  maxMessages(ksock: KsockState, limit: number): number {
    if (limit !== 0) {
      ksock.limit = limit;
      this.room.noteRoom(ksock);
    }
    this.noteSet(ksock, 'maxMessages', limit, ksock.limit);
    this.room.tellOfRoom();
    return ksock.limit;
  }

  wantMessagesOnce(ksock: KsockState, value: number): number {
    const previous = Number(ksock.onlyOnce);
    if (isSwitch(value)) ksock.onlyOnce = value === 1;
    return this.noteSet(ksock, 'wantMessagesOnce', value, switched(value, previous));
  }

  /** Only Limpets use it, so observers are not told. */
  hearOwn(ksock: KsockState, value: number): number {
    const previous = Number(ksock.hearsOwn);
    if (isSwitch(value)) ksock.hearsOwn = value === 1;
    // Its waiting message need not wait for its own queue any more.
    if (value === 0 && ksock.blockedOn === ksock) this.room.tellAll([ksock]);
    return switched(value, previous);
  }

  reportReplierBinds(ksock: KsockState, value: number): number {
    if (!ksock.isOpen) return -Errno.EBADF;
    const { bindReports } = this;
    const previous = Number(bindReports.isOn);
    if (isSwitch(value)) bindReports.isOn = value === 1;
    const isReported = value !== 1 || bindReports.reportAll(ksock);
    const result = isReported ? switched(value, previous) : -Errno.EBUSY;
    return this.noteSet(ksock, 'reportReplierBinds', value, result);
  }

  verbose(value: number): number {
    const previous = Number(this.watchers.has(this.debugLog));
    if (value === 1) this.watchers.add(this.debugLog);
    if (value === 0) this.watchers.delete(this.debugLog);
    return this.noteSet(null, 'verbose', value, switched(value, previous));
  }

  maxMessageSize(size: number): number {
    const most = this.state.settings.absoluteMaxMessageSize;
    if (size === 1) return most;
    if (size !== 0) {
      if (size < MIN_MESSAGE_SIZE || size > most) return -Errno.EINVAL;
      this.state.largestMessage = size;
    }
    return this.noteSet(null, 'maxMessageSize', size, this.state.largestMessage);
  }

  /** Tells observers of a setting, and gives its result. */
  private noteSet(
    ksock: KsockState | null,
    setting: Setting,
    value: number,
    result: number,
  ): number {
    this.state.observer?.set?.(ksock, setting, value, result);
    return result;
  }
}

function isSwitch(value: number): boolean {
  return value === 0 || value === 1;
}

/** What a call of a switch gives: what it was, or EINVAL. */
function switched(value: number, previous: number): number {
  return isSwitch(value) || value === ASK ? previous : -Errno.EINVAL;
}
