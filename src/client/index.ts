export type {
  BorrowingHandler,
  Handler,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handler.ts';
export {
  type Connect,
  Ksock,
  type KsockOptions,
  type RequestOptions,
  type SendOptions,
  type WaitOptions,
} from './ksock.ts';
export { BUS_GONE_AWAY } from './ports/port.ts';
export type { ReconnectOptions } from './ports/reconnect-options.ts';
