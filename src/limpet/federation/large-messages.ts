import type { Message } from '../../message/message.ts';
import type { Entry } from '../hub/frame.ts';
import type { SizeLimit } from '../hub/size-limit.ts';

/** The log names this many names of messages that were refused; all are counted. */
const MAX_TOLD = 100;

/** Of a federation that refuses messages larger than its engine takes. */
export class LargeMessages implements SizeLimit {
  /** What the engine takes; it is known when the engine has been in reach. */
  bytes = Number.POSITIVE_INFINITY;
  /** How many messages for listeners did not reach other buses. */
  missed = 0;
  private readonly warn: (text: string) => void;
  private readonly told = new Set<string>();
  /** Each message is refused once for each link. */
  private readonly known = new WeakSet<Message>();

  constructor(warn: (text: string) => void) {
    this.warn = warn;
  }

  refused({ message, dest, answers }: Entry): void {
    if (this.known.has(message)) return;
    this.known.add(message);
    const { name, dataSize } = message;
    if (dest === null && answers === 0) this.missed++;
    if (this.told.has(name) || this.told.size >= MAX_TOLD) return;
    this.told.add(name);
    this.warn(
      `'${name}' was not sent: name and data have ${name.length + dataSize} bytes, and the server takes ${this.bytes} (max_payload). Send less at a time, raise max_payload, or let it go in pieces (--nats-large pieces). Further messages of this name are only counted`,
    );
  }
}
