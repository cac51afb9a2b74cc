export { Bus, type BusOptions, type OpenOptions } from './bus.ts';
export { Buses } from './buses.ts';
export { SendQueue } from './driver/send-queue.ts';
export { BusKsock } from './ksock.ts';
export type { KsockOwner, KsockState, Mode, Progress } from './ksock-state.ts';
export { RequestEvent, TRANSITIONS } from './ledger.ts';
export { MessageBatch } from './message-batch.ts';
export type { Attempt, BusObserver, Setting } from './observer.ts';
export {
  type BindingReport,
  type BusReport,
  type KsockReport,
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
export { ASK } from './switches.ts';
