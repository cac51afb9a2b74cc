import { connect, createServer, type Server, type Socket } from 'node:net';

/** A program between two ends of a link: it can cut what passes through it, and let nothing through for a while. */
export class LinkProxy {
  readonly path: string;
  private readonly to: string;
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private isCut = false;

  constructor(path: string, to: string) {
    this.path = path;
    this.to = to;
  }

  async open(): Promise<void> {
    const server = createServer((near) => {
      if (this.isCut) {
        near.destroy();
        return;
      }
      this.join(near, connect({ path: this.to }));
    });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.path, resolve);
    });
  }

  private join(near: Socket, far: Socket): void {
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }

  /** Cuts all connections, and takes no new ones until `mend`. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  close(): void {
    this.cut();
    this.server?.close();
  }
}
