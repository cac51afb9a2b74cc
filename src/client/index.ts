export type {
  BorrowingHandler,
  Handler,
  HandlerOptions,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handler.ts';
export {
  type CloseOptions,
  Ksock,
  type KsockOptions,
  type Missed,
  type RequestOptions,
  type SendOptions,
  type WaitOptions,
} from './ksock.ts';
export { type ObserveOptions, observe } from './observe.ts';
export { BUS_GONE_AWAY } from './ports/port.ts';
export type { ReconnectOptions } from './ports/reconnect-options.ts';
export { Tap, type TapOptions } from './tap.ts';
