import { existsSync, lstatSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname, resolve } from 'node:path';
import { jittered } from '../client/ports/reconnect-options.ts';
import type { Address } from './hub/address.ts';
import { addressText, type LinkAddress, linkAddress, removeSocketFile } from './link/address.ts';
import { connectLink, listenForLinks, SocketWire } from './link/socket-wire.ts';
import type { LinkOptions } from './options.ts';
import { Place, type PlaceHost } from './place.ts';

/** The delays before a Limpet connects again, in milliseconds: they double from the first to the last. */
export const FIRST_DELAY_MS = 100;
export const LAST_DELAY_MS = 10_000;

/** Waits for others at a socket. */
export class ServerPlace extends Place {
  readonly kind = 'server';
  readonly name: string;
  private readonly address: LinkAddress;
  private server: Server | null = null;

  constructor(number: number, options: LinkOptions, host: PlaceHost) {
    super(number, options, host);
    this.address = linkAddress(options.server as string);
    this.name = addressText(this.address);
  }

  async start(): Promise<void> {
    const { address, host, name, options } = this;
    try {
      this.server = await listenForLinks(
        address,
        options,
        (socket) => {
          if (host.self === null) {
            socket.destroy();
            return;
          }
          host.connect(this, this.greeting(true), (events) => new SocketWire(socket, events));
        },
        (why) => {
          this.trouble = why;
          host.tell('warn', `link ${name}: a peer could not connect: ${why}`);
        },
      );
    } catch (error) {
      const why = whyNotListening(address, (error as NodeJS.ErrnoException).code);
      if (why === null) throw error;
      throw new Error(`${why}, or give this Limpet another address (both ends need the same)`, {
        cause: error,
      });
    }
    host.tell('info', `link ${name}: listening`);
  }

  begin(): void {}

  pause(): void {}

  async stop(): Promise<void> {
    const { address, server } = this;
    server?.close();
    if ('path' in address && server !== null) removeSocketFile(address.path);
  }
}

/** What stands in the way of a server, and what to do; null for what Node's own error says best. */
function whyNotListening(address: LinkAddress, code: string | undefined): string | null {
  const name = addressText(address);
  if ('path' in address) {
    const folder = dirname(resolve(address.path));
    if (!existsSync(folder))
      return `can't listen at ${name}: there is no folder ${folder}: make it`;
    if (code === 'EACCES')
      return `this user may not create ${name}: change the rights of ${folder}`;
    if (code === 'EADDRINUSE' && !lstatSync(address.path).isSocket())
      return `can't listen at ${name}: it is there already, and is no socket: remove it`;
  } else if (code === 'EADDRNOTAVAIL') {
    return `can't listen at ${name}: ${address.host} is no address of this machine: take one that is`;
  }
  return code === 'EADDRINUSE' ? `another program listens at ${name}: stop it` : null;
}

/** Connects to another Limpet, again and again if need be. */
export class ClientPlace extends Place {
  readonly kind = 'client';
  readonly name: string;
  private readonly address: LinkAddress;
  private delay = FIRST_DELAY_MS;
  private timer: NodeJS.Timeout | undefined;
  private isConnecting = false;

  constructor(number: number, options: LinkOptions, host: PlaceHost) {
    super(number, options, host);
    this.address = linkAddress(options.client as string);
    this.name = addressText(this.address);
  }

  async start(): Promise<void> {}

  begin(): void {
    clearTimeout(this.timer);
    this.connect();
  }

  private connect(): void {
    const { address, host, options } = this;
    if (this.isConnecting || host.self === null || host.isConnected(this)) return;
    this.isConnecting = true;
    connectLink(address, options, host.stopping).then(
      (socket) => {
        this.isConnecting = false;
        if (host.self === null) socket.destroy();
        else host.connect(this, this.greeting(false), (events) => new SocketWire(socket, events));
      },
      (error: Error) => {
        this.isConnecting = false;
        if (!host.stopping.aborted) this.lost(error.message, false);
      },
    );
  }

  override joined(peer: Address | null): void {
    super.joined(peer);
    this.delay = FIRST_DELAY_MS;
  }

  override lost(why: string, isFinal: boolean): void {
    const isNews = this.trouble !== why;
    this.trouble = why;
    if (isNews) super.lost(why, isFinal);
    this.delay = isFinal ? LAST_DELAY_MS : Math.min(this.delay * 2, LAST_DELAY_MS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), jittered(this.delay));
  }

  pause(): void {
    clearTimeout(this.timer);
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
  }
}
