export type {
  BorrowingHandler,
  Handler,
  HandlerOptions,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handlers.ts';
export {
  type CloseOptions,
  Ksock,
  type KsockOptions,
  type Missed,
  type RequestOptions,
  type SendOptions,
  type WaitOptions,
} from './ksock.ts';
export { BUS_GONE_AWAY } from './ports/frame-port.ts';
export type { ReconnectOptions } from './ports/reconnecting-port.ts';
