/** What programs import: `import { Ksock, Announcement } from 'kbus'`. */
export {
  type AccessReport,
  type BindingReport,
  Bus,
  Buses,
  type BusOptions,
  type BusReport,
  type BusSettings,
  type Given,
  type KsockReport,
  type Mode,
} from './bus/index.ts';
export * from './client/index.ts';
export * from './message/index.ts';
export * from './tap/index.ts';
