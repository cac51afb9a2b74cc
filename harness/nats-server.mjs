// Starts a NATS server of one's own.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { programPath } from '../dist/system/program-path.js';

/** @import { ChildProcess } from 'node:child_process' */

/** Where the program is; undefined if it is not installed. */
export const natsProgram = () => programPath('nats-server', ['/usr/sbin', '/usr/local/sbin']);

/** A TCP port of this machine that nobody listens at now. @returns {Promise<number>} */
export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });

/** Servers that make up a cluster with JetStream: each is started, and started again, by itself. */
export class NatsCluster {
  /** @type {readonly { port: number, route: number, monitor: number }[]} */
  servers = [];
  folder = '';

  /** @param {number} count @param {string} folder  where they keep their streams */
  static async of(count, folder) {
    const cluster = new NatsCluster();
    cluster.folder = folder;
    cluster.servers = await Promise.all(
      Array.from({ length: count }, async () => {
        const [port, route, monitor] = await Promise.all([freePort(), freePort(), freePort()]);
        return { port, route, monitor };
      }),
    );
    return cluster;
  }

  /** For clients. */
  get url() {
    return this.servers.map(({ port }) => `nats://127.0.0.1:${port}`).join(',');
  }

  /** @param {number} which */
  start(which) {
    const server = this.servers[which];
    if (server === undefined) throw new Error(`the cluster has no server ${which}`);
    const routes = this.servers.map(({ route }) => `nats://127.0.0.1:${route}`).join(',');
    return startNats(
      server.port,
      ...['--name', String(which), '--cluster_name', 'cluster', '--routes', routes],
      ...['--cluster', `nats://127.0.0.1:${server.route}`, '-m', String(server.monitor)],
      ...['-js', '-sd', `${this.folder}/${which}`],
    );
  }

  /**
   * Who leads the cluster, and who leads its first stream: numbers of servers, as far as a server knows.
   * @returns {Promise<{ meta?: number, stream?: number }>}
   */
  async leaders() {
    for (const { monitor } of this.servers) {
      try {
        const answer = await fetch(`http://127.0.0.1:${monitor}/jsz?streams=true`, {
          signal: AbortSignal.timeout(2000),
        });
        const { meta_cluster: meta, account_details: accounts } = /** @type {any} */ (
          await answer.json()
        );
        const stream = accounts?.[0]?.stream_detail?.[0]?.cluster?.leader;
        return {
          ...(meta?.leader && { meta: Number(meta.leader) }),
          ...(stream && { stream: Number(stream) }),
        };
      } catch {
        // It is down; the next one may know.
      }
    }
    return {};
  }
}

/**
 * Resolves when clients can connect at the port of 127.0.0.1; rejects with what the server said if it ends before.
 * @param {number} port @param {...string} more  arguments @returns {Promise<ChildProcess>}
 */
export async function startNats(port, ...more) {
  const program = natsProgram();
  if (program === undefined) throw new Error('the program nats-server is not installed');
  const args = ['-a', '127.0.0.1', '-p', String(port), ...more];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  await /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      child.stderr.on('data', (chunk) => {
        text += chunk;
        if (text.includes('Server is ready')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`nats-server ended:\n${text}`)));
    })
  );
  return child;
}
