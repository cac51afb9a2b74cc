import { connect, createServer, type Server, type Socket } from 'node:net';

/** A program between two ends of a link: it can cut what passes through it, and let nothing through for a while. */
export class LinkProxy {
  readonly path: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private isOpen = true;

  private constructor(path: string, to: string) {
    this.path = path;
    this.server = createServer((near) => {
      if (!this.isOpen) {
        near.destroy();
        return;
      }
      const far = connect({ path: to });
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
    });
  }

  static async open(path: string, to: string): Promise<LinkProxy> {
    const proxy = new LinkProxy(path, to);
    await new Promise<void>((resolve) => proxy.server.listen(path, resolve));
    return proxy;
  }

  /** Cuts all connections, and takes no new ones until `mend`. */
  cut(): void {
    this.isOpen = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.isOpen = true;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
