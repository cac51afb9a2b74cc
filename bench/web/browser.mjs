// A page in a browser that nobody watches. Tools that steer browsers also get a copy of each frame of a WebSocket, and that costs
// more than the frames do.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @import { AddressInfo } from 'node:net' @import { IncomingMessage, ServerResponse } from 'node:http' */

/** The page asks what to do, does it, and says what came of it. */
const PAGE = `<!doctype html><title>bench</title><script type="module">
  for (;;) {
    const script = await (await fetch('/asked')).text();
    let outcome;
    try {
      outcome = { value: await (0, eval)(script) };
    } catch (error) {
      outcome = { error: String(error?.stack ?? error) };
    }
    await fetch('/did', { method: 'POST', body: JSON.stringify(outcome) });
  }
</script>`;

/** A site with the modules of a page, and a browser that shows it. */
export class BrowserPage {
  origin = '';
  /** The modules by their paths. @type {Map<string, () => string | Uint8Array>} */
  modules = new Map();
  server = createServer((request, response) => this.answer(request, response));
  profile = mkdtempSync(join(tmpdir(), 'kbus-bench-page-'));
  /** @type {import('node:child_process').ChildProcess | undefined} */
  child;
  /** What the page waits for. @type {ServerResponse | null} */
  asking = null;
  /** @type {{ script: string, resolve: (value: unknown) => void, reject: (error: Error) => void } | null} */
  task = null;

  static async site() {
    const page = new BrowserPage();
    page.server.listen(0, 'localhost');
    await once(page.server, 'listening');
    const { port } = /** @type {AddressInfo} */ (page.server.address());
    page.origin = `http://localhost:${port}`;
    return page;
  }

  /** Starts the browser. @param {string} path */
  open(path) {
    const args = ['--headless=new', '--no-first-run', '--disable-gpu', '--disable-extensions'];
    if (process.getuid?.() === 0) args.push('--no-sandbox');
    this.child = spawn(path, [...args, `--user-data-dir=${this.profile}`, this.origin], {
      stdio: 'ignore',
      // A group of its own, which ends with all of it.
      detached: true,
    });
  }

  /** The value of an expression in the page. @param {string} script */
  evaluate(script) {
    return new Promise((resolve, reject) => {
      this.task = { script, resolve, reject };
      this.ask();
    });
  }

  ask() {
    if (this.asking === null || this.task === null) return;
    this.asking.end(this.task.script);
    this.asking = null;
  }

  /** @param {IncomingMessage} request @param {ServerResponse} response */
  async answer(request, response) {
    const { url = '' } = request;
    response.setHeader('cache-control', 'no-store');
    const module = this.modules.get(url);
    if (url === '/') response.setHeader('content-type', 'text/html').end(PAGE);
    else if (url === '/asked') {
      this.asking = response;
      this.ask();
    } else if (url === '/did') {
      await this.done(request);
      response.end();
    } else if (module !== undefined) {
      response.setHeader('content-type', 'text/javascript; charset=utf-8').end(module());
    } else response.writeHead(404).end();
  }

  /** @param {IncomingMessage} request */
  async done(request) {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { error, value } = JSON.parse(text);
    const task = this.task;
    this.task = null;
    if (error === undefined) task?.resolve(value);
    else task?.reject(new Error(error));
  }

  async close() {
    this.server.close();
    this.server.closeAllConnections();
    if (this.child !== undefined) {
      const ended = once(this.child, 'exit');
      process.kill(-(/** @type {number} */ (this.child.pid)), 'SIGKILL');
      await ended;
    }
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
