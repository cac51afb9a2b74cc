/** The client for browsers: a transport opens a Ksock. It needs neither Node nor the engine of a bus. */
export type {
  BorrowingHandler,
  Handler,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handler.ts';
export { observeChannel } from './observe-channel.ts';
export type {
  CloseOptions,
  Missed,
  OpenOptions,
  RequestOptions,
  SendOptions,
  WaitOptions,
} from './options.ts';
export { BUS_GONE_AWAY, type Connect } from './ports/port.ts';
export type { ReconnectOptions } from './ports/reconnect-options.ts';
export { Tap, type TapOptions } from './tap.ts';
export { TransportKsock as Ksock } from './transport-ksock.ts';
