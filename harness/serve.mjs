// Starts a daemon: the program `kbus serve` of this checkout, as users run it.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ended } from '../dist/measure/index.js';

/** The program `kbus`. */
export const KBUS = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url));

/**
 * The options of a daemon that runs a Limpet with one link: the configuration file lies beside its folder.
 *
 * @param {string} directory @param {number} id @param {string} link  a table of TOML
 */
export function withLimpet(directory, id, link) {
  const config = `${directory}.toml`;
  writeFileSync(config, `[[limpet]]\nid = ${id}\nlink = [${link}]\n`);
  return ['--config', config];
}

/** A running daemon. */
export class Daemon {
  /** Its output. */
  log = '';

  /**
   * @param {string} directory  of the sockets
   * @param {string[]} options
   * @param {number} [files]    limit of its file descriptors
   * @param {boolean} [detached]  in a session of its own, as a unit of systemd is
   */
  constructor(directory, options = [], files, detached = false) {
    const words = [KBUS, 'serve', '--directory', directory, ...options];
    const stdio = /** @type {const} */ (['ignore', 'pipe', 'pipe']);
    const limit = `ulimit -n ${files}; exec "$0" "$@"`;
    this.child =
      files === undefined
        ? spawn(process.execPath, words, { stdio: [...stdio], detached })
        : spawn('sh', ['-c', limit, process.execPath, ...words], { stdio: [...stdio], detached });
    const { stdout, stderr } = this.child;
    /** Resolves when clients can connect. @type {Promise<void>} */
    this.serving = new Promise((resolve, reject) => {
      for (const stream of [stdout, stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          this.log += text;
          if (this.log.includes('serving')) resolve();
        });
      }
      this.child.once('error', reject);
      this.child.once('close', () => reject(new Error(`the daemon exited:\n${this.log}`)));
    });
    this.serving.catch(() => {});
  }

  get isRunning() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** @param {NodeJS.Signals} [signal] */
  async stop(signal) {
    this.child.kill(signal);
    await ended(this.child);
  }
}
