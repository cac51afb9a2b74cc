export { ASK, type Attempt, type Mode, type Setting } from '../message/calls.ts';
export type { AccessReport, BindingReport, BusReport, KsockReport } from '../message/reports.ts';
export { Access, type AccessRules, RIGHTS, type Right } from './access.ts';
export { Bus, type BusOptions, type OpenOptions } from './bus.ts';
export { Buses } from './buses.ts';
export { SendQueue } from './driver/send-queue.ts';
export { BusKsock } from './ksock.ts';
export type { KsockOwner, KsockState, Progress } from './ksock-state.ts';
export { RequestEvent, TRANSITIONS } from './ledger.ts';
export { MessageBatch } from './message-batch.ts';
export type { BusObserver } from './observer.ts';
export {
  printBindings,
  printStats,
  reportBindings,
  reportStats,
} from './report.ts';
export { RequestState } from './requests.ts';
export {
  BUS_DEFAULTS,
  type BusSettings,
  type Given,
  MAX_BUSES,
  MIN_MESSAGE_SIZE,
} from './settings.ts';
