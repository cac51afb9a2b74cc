export { BUS_GONE_AWAY } from './frame-port.ts';
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
export type { ReconnectOptions } from './reconnect.ts';
