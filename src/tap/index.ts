/** What programs see of a tap: the same in Node and in a browser. */

export type { Attempt, Setting } from '../message/calls.ts';
export { type BindingView, BusView, type KsockView } from './bus-view.ts';
export type {
  AnsweredEvent,
  BeginEvent,
  BindingInfo,
  BindRefusedEvent,
  DiscardedEvent,
  EventOf,
  GivenUpEvent,
  KsockInfo,
  LostEvent,
  MessagesEvent,
  MissedEvent,
  QueuedEvent,
  ReadEvent,
  RefusedEvent,
  SeenIds,
  SeenMessage,
  SentEvent,
  SetEvent,
  TapEvent,
  UnboundEvent,
  WaitingEvent,
} from './events.ts';
export type { SeenKind } from './filter.ts';
