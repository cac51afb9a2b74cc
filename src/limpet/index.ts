/** What programs import for Limpets: `import { Limpet } from 'kbus/limpet'`. */
export { BadMessage, ErrorMessage, GiveUp, NoMessage, OtherLimpetGoneAway } from './errors.ts';
export type {
  ConnectEngine,
  Engine,
  EngineEvents,
  EngineStream,
  EngineWants,
  StoredMessage,
  StreamState,
  StreamWants,
} from './federation/engine.ts';
export {
  Limpet,
  type LimpetEvent,
  type LimpetOptions,
  type LinkOptions,
  type Security,
  SecurityError,
} from './limpet.ts';
export { LimpetKsock, type LimpetKsockOptions } from './limpet-ksock.ts';
export type { LinkAddress } from './link/address.ts';
export {
  decodeClassic,
  decodeGreeting,
  encodeClassic,
  encodeGreeting,
} from './link/classic-codec.ts';
export type { LimpetReport, LinkReport, PathReport, StreamReport } from './report.ts';
export {
  type AddressFamily,
  connectAsClient,
  connectAsServer,
  parseAddress,
  type RunOptions,
  removeSocketFile,
  runALimpet,
} from './run-a-limpet.ts';
