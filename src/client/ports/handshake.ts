import type { Mode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import { type FrameView, wordOf, wordsFrame } from '../../wire/frame.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';
import {
  FrameKind,
  HelloMode,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  ProtocolError,
} from '../../wire/protocol.ts';
import { PortError } from './port.ts';

/** A daemon can be configured for messages of 2 GiB: its longest frame is hardly longer. */
const MAX_FRAME_BYTES = 0x7fff_ffff + 4096;

/** The content of a HELLO. */
export interface HelloOptions {
  mode: Mode;
  /** The process id and the name of the program: reports and errors of the daemon show them as its own claim. */
  pid: number;
  program: string;
  /** The Ksock only looks at the bus and manages it. */
  manage?: boolean | undefined;
  /** The client reads records that leave out names. */
  told?: object | undefined;
  /** No Ksock: the client observes the bus. */
  observe?: boolean | undefined;
}

/** The content of a WELCOME. */
export interface Welcome {
  readonly busNumber: number;
  readonly ksockId: number;
  readonly maxSends: number;
  readonly maxSendBytes: number;
  readonly maxFrame: number;
}

/** The beginning of a connection: the client sends HELLO, and the daemon answers with WELCOME. */
export class Handshake {
  private opening: { resolve(): void; reject(error: PortError): void } | null = null;

  /** HELLO was sent, and WELCOME not received. */
  get isOpening(): boolean {
    return this.opening !== null;
  }

  /** Sends HELLO; resolves after WELCOME. */
  begin(
    { mode, pid, program, manage, observe, told }: HelloOptions,
    writer: Pick<FrameWriter, 'frame'>,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.opening = { resolve, reject };
      const opened =
        (mode === 'r' ? HelloMode.READ : HelloMode.BOTH) |
        (manage ? HelloMode.MANAGE : 0) |
        (told ? HelloMode.NAMES : 0);
      const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, observe ? HelloMode.OBSERVE : opened, pid];
      writer.frame(wordsFrame(FrameKind.HELLO, 0, 0, 0, words, program));
    });
  }

  /** Reads a WELCOME; gives a PortError for one of another version. */
  read(frame: FrameView): Welcome | PortError {
    if (this.opening === null || wordOf(frame, 0) !== PROTOCOL_MAGIC) {
      throw new ProtocolError('an unexpected WELCOME');
    }
    const version = wordOf(frame, 1);
    if (version !== PROTOCOL_VERSION) {
      const why = `the daemon uses version ${version} of the protocol, this client version ${PROTOCOL_VERSION}; use the same version of the kbus package for both`;
      return new PortError(Errno.EPROTO, why);
    }
    const maxFrame = wordOf(frame, 7);
    if (maxFrame > MAX_FRAME_BYTES) {
      throw new ProtocolError(`a WELCOME that announces frames of ${maxFrame} bytes`);
    }
    return {
      busNumber: wordOf(frame, 2),
      ksockId: wordOf(frame, 3),
      maxSends: wordOf(frame, 5),
      maxSendBytes: wordOf(frame, 6),
      maxFrame,
    };
  }

  done(): void {
    this.opening?.resolve();
    this.opening = null;
  }

  /** The connection ended before WELCOME. */
  failed(error: PortError): void {
    this.opening?.reject(error);
  }
}
