import type { BindingInfo, KsockInfo, TapEvent } from './events.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * An open Ksock; the numbers are those after the last event.
 *
 * @see {@link BusView} for an example
 */
export type KsockView = KsockInfo;
/**
 * A binding, as a {@link BusView} has it.
 *
 * @see {@link BusView} for an example
 */
export type BindingView = BindingInfo;

/**
 * The state of a bus, kept up to date by the events of a tap: `view.apply(event)`. While {@link isComplete} is false, the
 * state that the tap began with has not come to its end.
 *
 * The tap must show all messages: with a filter, the numbers of unread messages are old ones between the events shown.
 *
 * @example
 * ```ts
 * import { type BindingInfo, type BindingView, Bus, BusView, Ksock, observe } from 'kbus';
 * import type { KsockInfo, KsockView } from 'kbus';
 *
 * const programOf = ({ program }: KsockInfo): string => program;
 * const nameOf = ({ name }: BindingInfo): string => name;
 *
 * const bus = new Bus();
 * const ksock = await Ksock.open(bus, { name: 'heater' });
 * await ksock.bind('$.Heater.Set', true);
 * const view = new BusView();
 * for await (const event of await observe(bus)) {
 *   view.apply(event);
 *   if (view.isComplete) break;
 * }
 * const ksocks: KsockView[] = [...view.ksocks.values()];
 * const bindings: BindingView[] = [...view.bindings.values()];
 * console.log(ksocks.map(programOf).join(), bindings.map(nameOf).join()); // → heater $.Heater.Set
 * await ksock.close();
 * ```
 */
export class BusView {
  /** By Ksock id. */
  readonly ksocks = new Map<number, KsockView>();
  /** By number: the newest have the highest. */
  readonly bindings = new Map<number, BindingView>();
  bus = 0;
  /** Size in bytes of the largest message that may be sent. */
  maxMessageSize = 0;
  reportReplierBinds = false;
  isComplete = false;
  /** Events, and sent messages, that the tap has lost since it began. */
  lostEvents = 0;
  lostMessages = 0;

  /** Brings the view up to date. Call it with each event of the tap, in order. */
  apply(event: TapEvent): void {
    switch (event.type) {
      case 'begin':
        this.ksocks.clear();
        this.bindings.clear();
        this.isComplete = false;
        this.bus = event.bus;
        this.maxMessageSize = event.maxMessageSize;
        this.reportReplierBinds = event.reportReplierBinds;
        break;
      case 'ready':
        this.isComplete = true;
        break;
      case 'lost':
        this.isComplete = false;
        this.lostEvents += event.events;
        this.lostMessages += event.messages;
        break;
      case 'ksock':
      case 'opened': {
        const { time, type, ...ksock } = event;
        this.ksocks.set(ksock.ksock, ksock);
        break;
      }
      case 'closed':
        this.close(event.ksock);
        break;
      case 'binding':
      case 'bound': {
        const { time, type, ...binding } = event;
        this.bindings.set(binding.binding, binding);
        break;
      }
      case 'unbound':
        this.bindings.delete(event.binding);
        this.change(event.ksock, { unread: event.unread });
        break;
      case 'sent':
        this.change(event.ksock, { outstanding: event.outstanding });
        if (event.attempt !== 'send') this.change(event.ksock, { sending: false });
        break;
      case 'refused':
        if (event.attempt !== 'send') this.change(event.ksock, { sending: false });
        break;
      case 'waiting':
        this.change(event.ksock, { sending: true });
        break;
      case 'discarded':
        this.change(event.ksock, { sending: false });
        break;
      case 'queued':
        this.change(event.ksock, { unread: event.unread });
        break;
      case 'missed':
        this.change(event.ksock, { missed: event.missed });
        break;
      case 'read':
        this.change(event.ksock, { unread: event.unread, unreplied: event.unreplied });
        break;
      case 'answered':
        this.change(event.ksock, { outstanding: event.outstanding });
        this.change(event.replier, { unreplied: event.unreplied });
        break;
      case 'givenUp':
        this.change(event.ksock, { outstanding: event.outstanding });
        this.change(event.replier, { unread: event.unread, unreplied: event.unreplied });
        break;
      case 'set':
        this.set(event.ksock, event.setting, event.value, event.result);
        break;
      case 'bindRefused':
      case 'messages':
        break;
      default:
        event satisfies never;
    }
  }

  /** A Ksock that the snapshot has not come to yet is not known: what the snapshot says of it has this change. */
  private change(id: number, changes: Partial<KsockInfo>): void {
    const ksock = this.ksocks.get(id);
    if (ksock !== undefined) Object.assign(ksock as Mutable<KsockInfo>, changes);
  }

  private close(id: number): void {
    this.ksocks.delete(id);
    for (const [number, { ksock }] of this.bindings) {
      if (ksock === id) this.bindings.delete(number);
    }
  }

  private set(ksock: number, setting: string, value: number, result: number): void {
    if (setting === 'maxMessages' && result >= 0) this.change(ksock, { maxMessages: result });
    if (setting === 'maxMessageSize' && result >= 0) this.maxMessageSize = result;
    const isSwitch = value === 0 || value === 1;
    if (setting === 'wantMessagesOnce' && isSwitch) this.change(ksock, { once: value === 1 });
    // With EBUSY, too, the switch is on.
    if (setting === 'reportReplierBinds' && isSwitch) this.reportReplierBinds = value === 1;
  }
}
