export { MEANING, UNIX_TEXT } from './all-meanings.ts';
export {
  type ReplierBindEventData,
  replierBindEventData,
  splitReplierBindEventData,
} from './bind-event.ts';
export { BorrowedMessage } from './borrowed.ts';
export { type Call, codeOf, Errno, type ErrorCode } from './errno.ts';
export { KbusError } from './error.ts';
export type { MessageKind, MessageOptions } from './fields.ts';
export { Flag } from './flags.ts';
export { MessageId, OrigFrom } from './id.ts';
export type { MessageJson } from './json.ts';
export {
  Announcement,
  type Data,
  Message,
  type MessageSequence,
  REPLIER_BIND_EVENT,
  Reply,
  Request,
  replyTo,
  Status,
  statefulRequest,
} from './message.ts';
export { checkBindingName, checkMessageName, MAX_NAME, matches } from './name.ts';
export { REPLIER_ERROR, ReplierError, StatusError } from './request-error.ts';
