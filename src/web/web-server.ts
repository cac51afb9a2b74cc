import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Deadlines } from '../base/deadlines.ts';
import { Errno } from '../message/errno.ts';
import type { ChannelEvents } from '../transport/channel.ts';
import { MAX_WEB_MESSAGE_BYTES, WEB_PROTOCOL } from '../transport/web-socket.ts';
import { Answers, HTTP_SETTINGS, listen, REQUEST_TIMEOUT_MS } from './answers.ts';
import { PAGE_FOLDER, Pages } from './pages.ts';
import { Tokens } from './tokens.ts';
import { type Enter, refuse, Visitors } from './visitors.ts';
import { checkExposure, namesOf, parseWebAddress, type WebAddress } from './web-address.ts';
import { type Depart, type Gather, WebChannel } from './web-channel.ts';
import { WebError } from './web-error.ts';

/** Heartbeats in the time after which a silent peer is dead. */
const BEATS = 3;

/** A message of 64 KiB has at most so many fragments, and comes in at most so many chunks. */
const MAX_PARTS = 1024;

/**
 * What a daemon serves to browsers, and to whom.
 *
 * @example
 * ```ts
 * import { Daemon, Log, WebError, type WebOptions } from 'kbus/daemon';
 *
 * const web: WebOptions = { listen: '127.0.0.1:0', timeout: 30 };
 * const serve = (given: WebOptions): Daemon =>
 *   new Daemon({
 *     buses: 1,
 *     directory: './web',
 *     socket: { mode: 0o600, group: undefined },
 *     bus: {},
 *     web: given,
 *     log: new Log('human', () => {}),
 *   });
 * const daemon = serve(web);
 * await daemon.start();
 * console.log(daemon.page?.startsWith('http://127.0.0.1:')); // → true
 * await daemon.stop('it was told to');
 * const open = serve({ ...web, listen: '0.0.0.0:0' }); // Others could read it, without TLS.
 * const error = await open.start().catch((reason: unknown) => reason);
 * console.log(error instanceof WebError); // → true
 * ```
 */
export interface WebOptions {
  /** `127.0.0.1:8080`, or the path of a Unix socket. */
  listen: string;
  /** Contents of PEM files: the certificate with its chain, and its key. */
  tls?: { readonly cert: Uint8Array; readonly key: Uint8Array } | undefined;
  /** Origins beside its own whose pages are admitted, as browsers write them. A proxy in front of the daemon is one. */
  origins?: readonly string[] | undefined;
  /** Seconds after which a client that gave no sign of life is dead. */
  timeout: number;
  /** Serves without TLS where others on the network can read what is sent. */
  insecure?: boolean | undefined;
  /** Keeps the tokens of the last start. */
  keepTokens?: boolean | undefined;
  /** Folder of the page's files. Default: that of this package. */
  folder?: string | undefined;
}

/** A Ksock that came by WebSocket. */
export interface WebGuest extends ChannelEvents {
  farewell(errno: number, why: string): void;
}

/** What the web needs of the daemon. */
export interface WebHost {
  /** Folder for the files with the tokens. */
  readonly directory: string;
  /** The names of the access points that pages may use. */
  readonly accessNames: readonly string[];
  readonly maxConnections: number;
  /** The most connections that are no Ksock yet. */
  readonly maxSilent: number;
  readonly gather: Gather;
  readonly leaving: Deadlines<Socket>;
  readonly depart: Depart;
  /** Listens at the path of a Unix socket; gives the function that closes the server. */
  listenAt(server: NetServer, path: string): Promise<() => Promise<void>>;
  /**
   * Lets a client in to a bus by an access point. Gives an error number and the reason, if there is no such bus, or it has
   * no such access point.
   */
  letIn(
    bus: number,
    access: string,
    channel: WebChannel,
    socket: Socket,
  ): WebGuest | { readonly errno: number; readonly why: string };
  warn(text: string): void;
}

/** Serves the buses of a daemon over WebSocket, and the page that shows them. */
export class WebServer {
  /** The address of the page; undefined behind a proxy that no setting names. */
  home: string | undefined;
  private readonly options: WebOptions;
  private readonly host: WebHost;
  private readonly address: WebAddress;
  private readonly answers: Answers;
  private readonly tokens: Tokens;
  private readonly server: Server;
  private readonly webSockets: WebSocketServer;
  private readonly visitors: Visitors;
  private readonly guests = new Map<WebChannel, WebGuest>();
  /** After so many milliseconds without a sign of life, a client is dead. */
  private readonly silenceMs: number;
  private close: () => Promise<void> = async () => {};
  private beats: NodeJS.Timeout | undefined;

  /** Throws a WebError for what can't be served. */
  constructor(options: WebOptions, host: WebHost) {
    const { insecure = false, listen, origins = [], timeout, tls } = options;
    this.options = options;
    this.host = host;
    this.visitors = new Visitors(host.maxSilent);
    this.address = parseWebAddress(listen);
    checkExposure(this.address, tls !== undefined, insecure);
    const names = namesOf(this.address, tls !== undefined, origins);
    this.answers = new Answers(new Pages(options.folder ?? PAGE_FOLDER), names);
    this.tokens = new Tokens(host.directory, host.accessNames, options.keepTokens ?? false);
    this.silenceMs = timeout * 1000;
    this.server = this.makeServer();
    this.webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_WEB_MESSAGE_BYTES,
      maxFragments: MAX_PARTS,
      maxBufferedChunks: MAX_PARTS,
      handleProtocols: () => WEB_PROTOCOL,
    });
  }

  private makeServer(): Server {
    const { tls } = this.options;
    let server: Server;
    try {
      server =
        tls === undefined
          ? createServer(HTTP_SETTINGS)
          : createSecureServer({
              ...HTTP_SETTINGS,
              cert: Buffer.from(tls.cert),
              key: Buffer.from(tls.key),
              handshakeTimeout: REQUEST_TIMEOUT_MS,
            });
    } catch (error) {
      const why = (error as Error).message;
      throw new WebError(
        `web-cert and web-key: they can't be used: ${why}. Give PEM files, and the key of that certificate`,
      );
    }
    // Those that have not even finished the handshake of TLS count here alone.
    server.maxConnections = this.host.maxConnections + this.host.maxSilent;
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket) =>
      this.visitors.came(socket),
    );
    server.on('request', (request, response) => this.answers.answer(request, response));
    server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
    return server;
  }

  /** Listens, and writes the tokens. Throws a WebError, or an error of the file system. */
  async start(): Promise<void> {
    try {
      await this.listen();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  private async listen(): Promise<void> {
    const { address, host, options, server } = this;
    if ('path' in address) {
      this.close = await host.listenAt(server, address.path);
    } else {
      await listen(server, address);
      this.close = () => new Promise((resolve) => server.close(() => resolve()));
      const { port } = server.address() as AddressInfo;
      const { origins = [], tls } = options;
      this.answers.names = namesOf({ ...address, port }, tls !== undefined, origins);
    }
    server.on('error', (error) => host.warn(`web: ${error.message}`));
    this.home = this.answers.names.home;
    this.tokens.write(this.home ?? 'http://localhost');
    this.beats = setInterval(() => this.beat(), this.silenceMs / BEATS);
    this.beats.unref();
  }

  /** Takes no more connections, and ends those that are no Ksock. The daemon ends the others. */
  async stop(): Promise<void> {
    clearInterval(this.beats);
    this.visitors.stop();
    const closed = this.close();
    this.server.closeIdleConnections();
    if (!this.options.keepTokens) this.tokens.remove();
    await closed;
  }

  private beat(): void {
    for (const [channel, guest] of this.guests) {
      if (channel.beat(this.silenceMs)) continue;
      const seconds = this.silenceMs / 1000;
      guest.farewell(
        Errno.ETIMEDOUT,
        `the client gave no sign of life for ${seconds} s (web-timeout): it was asleep, or its network was lost`,
      );
    }
  }

  // WebSocket

  private upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const socket = stream as Socket;
    socket.on('error', () => {});
    const refused = this.answers.refusal(request) ?? this.answers.refusalOfOrigin(request);
    if (refused !== null) {
      this.host.warn(`web: refused a WebSocket: ${refused.why}`);
      abort(socket, refused.status, refused.why);
      return;
    }
    if (request.url !== '/ws') {
      abort(socket, 404, 'WebSockets are at /ws; addresses have no query');
      return;
    }
    const protocols = request.headers['sec-websocket-protocol'] ?? '';
    if (!protocols.split(',').some((one) => one.trim() === WEB_PROTOCOL)) {
      abort(socket, 400, `a client must ask for the subprotocol '${WEB_PROTOCOL}'`);
      return;
    }
    this.webSockets.handleUpgrade(request, socket, head, (webSocket) =>
      this.connected(webSocket, socket),
    );
  }

  private connected(webSocket: WebSocket, socket: Socket): void {
    const { depart, gather, leaving } = this.host;
    const channel = new WebChannel(webSocket, socket, gather, leaving, depart);
    this.visitors.greet(channel, (enter, rest) => this.letIn(enter, rest, channel, socket));
  }

  private letIn(
    { bus, token }: Enter,
    rest: Uint8Array,
    channel: WebChannel,
    socket: Socket,
  ): void {
    const access = this.tokens.accessOf(token);
    if (access === undefined) {
      const what = token === '' ? 'the client gave no token' : 'the token is wrong';
      const why = `${what}: a daemon makes new ones at each start; \`kbus web\` prints the current one`;
      this.host.warn(`web: refused a WebSocket: ${what}`);
      refuse(channel, Errno.EACCES, why);
      return;
    }
    const guest = this.host.letIn(bus, access, channel, socket);
    if ('errno' in guest) {
      refuse(channel, guest.errno, guest.why);
      return;
    }
    this.visitors.left(socket);
    this.guests.set(channel, guest);
    socket.once('close', () => this.guests.delete(channel));
    channel.events = guest;
    guest.received(rest, 0, rest.length);
    // From the first moment on, the client knows that heartbeats come.
    channel.beat(this.silenceMs);
  }
}

/** Answers an upgrade with an error. */
function abort(socket: Socket, status: number, why: string): void {
  const body = `${why}\n`;
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  socket.destroySoon();
}
