/** The client for browsers: `import { Ksock } from 'kbus/browser'`. It needs neither Node nor the engine of a bus. */
export type { Mode } from '../message/calls.ts';
export {
  Announcement,
  BorrowedMessage,
  type Call,
  checkBindingName,
  checkMessageName,
  codeOf,
  type Data,
  Errno,
  type ErrorCode,
  Flag,
  KbusError,
  MAX_NAME,
  Message,
  MessageId,
  type MessageJson,
  type MessageKind,
  type MessageOptions,
  type MessageSequence,
  matches,
  OrigFrom,
  REPLIER_BIND_EVENT,
  REPLIER_ERROR,
  type ReplierBindEventData,
  ReplierError,
  Reply,
  Request,
  replierBindEventData,
  replyTo,
  Status,
  StatusError,
  splitReplierBindEventData,
  statefulRequest,
} from '../message/index.ts';
export type { AccessReport, BindingReport, BusReport, KsockReport } from '../message/reports.ts';
export type { PlatformSocket, WebSocketClass } from '../transport/web-socket.ts';
export type {
  BorrowingHandler,
  Handler,
  HandlerOptions,
  Handling,
  ListenerOptions,
  ReplyData,
  RequestHandler,
} from './handler.ts';
export type { CloseOptions, Missed, RequestOptions, SendOptions, WaitOptions } from './options.ts';
export { BUS_GONE_AWAY } from './ports/port.ts';
export type { ReconnectOptions } from './ports/reconnect-options.ts';
export {
  TransportKsock as Ksock,
  type WebKsockOptions as KsockOptions,
} from './transport-ksock.ts';
export type { WebPlace } from './web-place.ts';
