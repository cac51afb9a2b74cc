import { type FileHandle, open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Answers, HTTP_SETTINGS, listen } from './answers.ts';
import { PAGE_FOLDER, Pages } from './pages.ts';
import { isToken, newToken } from './tokens.ts';
import { namesOf } from './web-address.ts';

/** Where the page finds the recording. */
const PATH = '/recording.mcap';

/** A page reads the file in pieces; nobody gets more of it at once. */
const MAX_PIECE_BYTES = 4 * 1024 * 1024;

const MAX_CONNECTIONS = 32;

/**
 * Serves the inspector with one recording, to browsers of this machine that have the token. It needs no daemon, and admits
 * whom a daemon would: see {@link Answers}.
 */
export class RecordingServer {
  readonly token = newToken();
  private readonly file: FileHandle;
  private readonly server: Server;
  private readonly answers: Answers;

  private constructor(file: FileHandle, folder: string) {
    this.file = file;
    const other = (request: IncomingMessage, response: ServerResponse): void => {
      this.recording(request, response).catch((error: Error) => {
        if (response.headersSent) response.destroy();
        else this.answers.send(request, response, 500, error.message);
      });
    };
    const names = { hosts: new Set<string>(), origins: new Set<string>(), home: undefined };
    this.answers = new Answers(new Pages(folder), names, new Map([[PATH, other]]));
    this.server = createServer(HTTP_SETTINGS, (...given) => this.answers.answer(...given));
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /** Serves the file at `path`, at a port of the loopback address; 0: any. Throws a WebError, or an error of the file system. */
  static async start(path: string, port = 0, folder = PAGE_FOLDER): Promise<RecordingServer> {
    const file = await open(path, 'r');
    const made = new RecordingServer(file, folder);
    const { answers, server } = made;
    try {
      await listen(server, { host: '127.0.0.1', port });
    } catch (error) {
      await file.close();
      throw error;
    }
    answers.names = namesOf({ host: '127.0.0.1', port: made.port }, false, []);
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The address of the page, with the token. */
  get address(): string {
    return `${this.answers.names.home}/#token=${this.token}`;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
    await this.file.close();
  }

  private async recording(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { answers, file } = this;
    const { authorization = '', range } = request.headers;
    const refused = answers.refusalOfOrigin(request);
    if (refused !== null) {
      answers.send(request, response, refused.status, refused.why);
      return;
    }
    if (!isToken(authorization.replace(/^Bearer /, ''), this.token)) {
      const why = 'the token is wrong: open the address that kbus web prints';
      answers.send(request, response, 401, why);
      return;
    }
    const { size } = await file.stat();
    answers.head(request, response);
    response.setHeader('content-type', 'application/octet-stream');
    response.setHeader('accept-ranges', 'bytes');
    if (request.method === 'HEAD') {
      response.setHeader('content-length', size);
      response.end();
      return;
    }
    const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(range ?? '') ?? [];
    const from = Number(first);
    const to = Math.min(Number(last), size - 1, from + MAX_PIECE_BYTES - 1);
    if (!(from <= to)) {
      response.setHeader('content-range', `bytes */${size}`);
      answers.send(request, response, 416, 'ask for a range of the bytes that there are');
      return;
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from + 1), 0, undefined, from);
    response.setHeader('content-range', `bytes ${from}-${from + bytesRead - 1}/${size}`);
    response.setHeader('content-length', bytesRead);
    response.writeHead(206);
    response.end(buffer.subarray(0, bytesRead));
  }
}
