import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { type Plugin, rolldown } from 'rolldown';
import { programPath } from '../../../src/system/program-path.ts';

const path = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => programPath(name))
  .find((found) => found !== undefined);

/** Why there is no browser to try, or null. It is said aloud, once. */
export const missing: string | null =
  path === undefined ? 'no chromium; as root on Debian, `npm test` installs it' : null;
if (missing !== null) console.warn(`SKIPPED: the tests in a real browser: ${missing}`);

/** Starts the browser. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: path as string,
    // Chromium's sandbox does not work for root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What `kbus/browser` exports, where the suite imports it. */
const EXPORTED =
  /\/src\/(client\/browser|message\/(bind-event|borrowed|errno|error|flags|id|index|message|name|request-error))\.ts$/;

/** Lets the suite have the client as pages load it: minified, with short names. */
const asPagesLoadIt: Plugin = {
  name: 'the client as pages load it',
  async resolveId(name, importer) {
    if (importer === undefined || importer.includes('/src/')) return null;
    const found = await this.resolve(name, importer, { skipSelf: true });
    return EXPORTED.test(found?.id ?? '') ? here('../../../dist/page/kbus.js') : null;
  },
};

/** The conformance suite as one script. */
export async function bundledSuite(): Promise<string> {
  const made = await rolldown({
    input: here('suite.ts'),
    platform: 'browser',
    resolve: { alias: { vitest: here('runner.ts') } },
    plugins: [asPagesLoadIt],
    logLevel: 'silent',
  });
  const { output } = await made.generate({ format: 'iife', codeSplitting: false });
  await made.close();
  return output[0].code;
}

/** Serves pages of somebody else than the daemon: by path. */
export class Site {
  readonly origin: string;
  readonly pages = new Map<string, string>();
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
    this.origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    server.on('request', ({ url = '' }, response) => {
      const text = this.pages.get(url.replace(/\?.*/, ''));
      const type = url.endsWith('.js') ? 'text/javascript' : 'text/html';
      response.writeHead(text === undefined ? 404 : 200, {
        'content-type': `${type}; charset=utf-8`,
      });
      response.end(text);
    });
  }

  static async open(): Promise<Site> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    return new Site(server);
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
