import type { MessageKind } from '../message/fields.ts';
import type { SeenMessage, TapEvent } from '../tap/events.ts';
import { NameFilter } from '../tap/name-filter.ts';

/** A moment of a recording: since its first event, or since 1970; in microseconds. */
export interface Moment {
  readonly microseconds: number;
  readonly isSinceStart: boolean;
}

/** Which messages of a recording. */
export interface Selection {
  /** Names or wildcards; none: all. */
  readonly names?: readonly string[] | undefined;
  /** Default: all. */
  readonly kinds?: readonly MessageKind[] | undefined;
  readonly from?: Moment | undefined;
  readonly to?: Moment | undefined;
  /** A test that a message must pass, too. */
  readonly test?: ((message: SeenMessage) => boolean) | undefined;
}

/**
 * Chooses events of a recording: the messages of a selection, and what becomes of them. The state of the bus, and its
 * changes, are chosen from the beginning on, so that a part of a recording can be understood.
 */
export class Selector {
  private readonly names: NameFilter | null;
  private readonly kinds: ReadonlySet<MessageKind> | null;
  private readonly selection: Selection;
  private from = 0;
  private to = Number.POSITIVE_INFINITY;
  private isStarted = false;
  /** Ids of messages that were chosen, in the order in which they came. */
  private readonly chosen = new Set<string>();

  constructor(selection: Selection) {
    const { kinds, names = [] } = selection;
    this.selection = selection;
    this.names = names.length === 0 ? null : new NameFilter(names);
    this.kinds = kinds === undefined ? null : new Set(kinds);
  }

  private get isAll(): boolean {
    return this.names === null && this.kinds === null && this.selection.test === undefined;
  }

  /** The recording has nothing more to choose. */
  isOver(time: number): boolean {
    return time > this.to;
  }

  chooses(event: TapEvent): boolean {
    if (!this.isStarted) this.start(event.time);
    const isIn = event.time >= this.from && event.time <= this.to;
    switch (event.type) {
      case 'begin':
      case 'ksock':
      case 'binding':
      case 'ready':
      case 'opened':
      case 'closed':
      case 'bound':
      case 'unbound':
      case 'set':
        return event.time <= this.to;
      case 'lost':
      case 'bindRefused':
        return isIn;
      case 'messages':
      case 'refused': {
        const [message] = event.messages;
        const isChosen =
          isIn &&
          message !== undefined &&
          (this.names?.shows(message.name) ?? true) &&
          (this.kinds?.has(message.kind) ?? true) &&
          (this.selection.test?.(message) ?? true);
        if (isChosen && !this.isAll && event.type === 'messages') this.note(String(event.id));
        return isChosen;
      }
      case 'givenUp':
        return isIn && this.isChosen(event.request.networkId, event.request.serialNum, 1);
      case 'discarded':
        return isIn && this.isChosen(event.id.networkId, event.id.serialNum, 1);
      default:
        return isIn && this.isChosen(event.id.networkId, event.id.serialNum, event.count);
    }
  }

  private start(time: number): void {
    const { from, to } = this.selection;
    const at = ({ isSinceStart, microseconds }: Moment): number =>
      isSinceStart ? time + microseconds : microseconds;
    if (from !== undefined) this.from = at(from);
    if (to !== undefined) this.to = at(to);
    this.isStarted = true;
  }

  private note(id: string): void {
    // What becomes of a message mostly follows soon.
    if (this.chosen.size >= MAX_CHOSEN) {
      const [oldest] = this.chosen;
      this.chosen.delete(oldest as string);
    }
    this.chosen.add(id);
  }

  private isChosen(network: number, serial: number, count: number): boolean {
    if (this.isAll) return true;
    for (let at = 0; at < count; at++) {
      if (this.chosen.has(`[${network}:${serial + at}]`)) return true;
    }
    return false;
  }
}

/** How many ids of chosen messages are kept. */
const MAX_CHOSEN = 1_000_000;
