import { createConnection, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { frame, framesOf, frameText, hello } from '../support/frames.ts';

/** What a program sends that is no browser, and what it is answered until the end of the connection. */
export async function talk(port: number, text: string | Uint8Array): Promise<string> {
  const socket = createConnection(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(text);
  return heard(socket);
}

/** All that comes until the connection ends. */
export async function heard(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return Buffer.concat(chunks).toString('latin1');
}

/** The frames of ENTER and HELLO. */
export function greeting(token: string, bus = 0): Uint8Array {
  return Buffer.concat([enter(token, bus), hello()]);
}

export function enter(token: string, bus = 0): Uint8Array {
  return frame('ENTER', { words: [0x4b425553, bus], text: token });
}

/** A client that sends what the test says. */
export class RawClient {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  private bytes: Uint8Array = new Uint8Array(0);
  private readonly closeCode: Promise<number>;

  constructor(origin: string, options: ConstructorParameters<typeof WebSocket>[2] = {}) {
    this.socket = new WebSocket(`${origin.replace('http', 'ws')}/ws`, 'kbus', options);
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.bytes = Buffer.concat([this.bytes, data]);
      else this.texts.push(data.toString());
    });
    this.socket.on('error', () => {});
    this.closeCode = new Promise((resolve) => this.socket.once('close', resolve));
  }

  static async open(
    origin: string,
    options: ConstructorParameters<typeof WebSocket>[2] = {},
  ): Promise<RawClient> {
    const client = new RawClient(origin, options);
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', () => resolve());
      client.socket.once('error', reject);
    });
    return client;
  }

  /** A Ksock. */
  static async enter(origin: string, token: string): Promise<RawClient> {
    const client = await RawClient.open(origin);
    client.socket.send(greeting(token));
    await client.hears('WELCOME');
    return client;
  }

  /** Sends bytes below WebSocket. */
  raw(bytes: Uint8Array): void {
    (this.socket as unknown as { _socket: Socket })._socket.write(bytes);
  }

  /** The kinds of the frames that came. */
  get kinds(): string[] {
    return framesOf(this.bytes).frames.map(({ kind }) => kind);
  }

  /** Resolves when a frame of this kind has come. */
  async hears(kind: string): Promise<void> {
    while (!this.kinds.includes(kind)) {
      await new Promise<void>((resolve) => this.socket.once('message', () => resolve()));
    }
  }

  /** The code with which the connection closes, and the text of a FAREWELL. */
  async closed(): Promise<{ code: number; errno: number | undefined; why: string }> {
    const code = await this.closeCode;
    const last = framesOf(this.bytes).frames.find(({ kind }) => kind === 'FAREWELL');
    return { code, errno: last?.words[0], why: last === undefined ? '' : frameText(last, 1) };
  }
}

/** The head of a WebSocket frame of a client, with a mask of zeros: `bits` are FIN, RSV and the opcode. */
export function webFrame(bits: number, payload: Uint8Array, length = payload.length): Uint8Array {
  const head =
    length < 126
      ? Buffer.from([bits, 0x80 | length, 0, 0, 0, 0])
      : Buffer.concat([Buffer.from([bits, 0xff]), Buffer.alloc(8), Buffer.alloc(4)]);
  if (length >= 126) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}
