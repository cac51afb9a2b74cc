import type { Mode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import { type FrameView, wordOf, wordsFrame } from '../../wire/frame.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';
import { FrameKind, PROTOCOL_MAGIC, PROTOCOL_VERSION, ProtocolError } from '../../wire/protocol.ts';
import { PortError } from './port.ts';

/** The longest frame that is believed before the daemon says more in its WELCOME. */
export const MAX_WELCOME_BYTES = 4096;

/** What a HELLO says. */
export interface HelloOptions {
  mode: Mode;
  /** Told to the daemon, and shown by it as what this program says of itself. */
  pid: number;
  program: string;
}

/** What a WELCOME says. */
export interface Welcome {
  readonly busNumber: number;
  readonly ksockId: number;
  readonly maxSends: number;
  readonly maxSendBytes: number;
  readonly maxFrame: number;
}

/** How a connection begins: the client says HELLO, and the daemon WELCOME. */
export class Handshake {
  private opening: { resolve(): void; reject(error: PortError): void } | null = null;

  /** HELLO was said, and WELCOME was not. */
  get isOpening(): boolean {
    return this.opening !== null;
  }

  /** Says HELLO; resolves when the daemon has welcomed the client. */
  begin({ mode, pid, program }: HelloOptions, writer: FrameWriter): Promise<void> {
    return new Promise((resolve, reject) => {
      this.opening = { resolve, reject };
      const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, mode === 'r' ? 1 : 3, pid];
      writer.frame(wordsFrame(FrameKind.HELLO, 0, 0, 0, words, program));
    });
  }

  /** Reads a WELCOME; a PortError when it is that of another version. */
  read(frame: FrameView): Welcome | PortError {
    if (this.opening === null || wordOf(frame, 0) !== PROTOCOL_MAGIC) {
      throw new ProtocolError('a WELCOME that was not asked for');
    }
    const version = wordOf(frame, 1);
    if (version !== PROTOCOL_VERSION) {
      const why = `the daemon speaks version ${version} of the protocol, and this client version ${PROTOCOL_VERSION}; use the kbus package of the same version for both`;
      return new PortError(Errno.EPROTO, why);
    }
    return {
      busNumber: wordOf(frame, 2),
      ksockId: wordOf(frame, 3),
      maxSends: wordOf(frame, 5),
      maxSendBytes: wordOf(frame, 6),
      maxFrame: wordOf(frame, 7),
    };
  }

  done(): void {
    this.opening?.resolve();
    this.opening = null;
  }

  /** The connection ended too early. */
  failed(error: PortError): void {
    this.opening?.reject(error);
  }
}
