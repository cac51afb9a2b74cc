export type {
  BorrowingHandler,
  Handler,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handlers.ts';
export {
  type Connect,
  Ksock,
  type KsockOptions,
  type RequestOptions,
  type SendOptions,
  type WaitOptions,
} from './ksock.ts';
export { BUS_GONE_AWAY } from './ports/frame-port.ts';
export type { ReconnectOptions } from './ports/reconnecting-port.ts';
