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
