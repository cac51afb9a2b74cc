import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Beside this file's folder, also where the program is joined into a few files. */
export const PAGE_FOLDER = fileURLToPath(new URL('../page/', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export interface Page {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** The files that a daemon serves: those of one folder, by their names alone; `/` is its index.html. */
export class Pages {
  private readonly folder: string;
  private readonly names: ReadonlySet<string>;
  private readonly pages = new Map<string, Page>();

  constructor(folder: string) {
    this.folder = folder;
    // No path of a request is ever put together with the folder.
    this.names = new Set(readdirSync(folder).filter((name) => extname(name) in TYPES));
  }

  /** The page of a request's path; undefined if there is none. */
  get(path: string): Page | undefined {
    const name = path === '/' ? 'index.html' : path.slice(1);
    if (!this.names.has(name)) return undefined;
    let page = this.pages.get(name);
    if (page === undefined) {
      const type = TYPES[extname(name)] as string;
      page = { type, bytes: readFileSync(join(this.folder, name)) };
      this.pages.set(name, page);
    }
    return page;
  }
}

/** What every answer says: nobody keeps it, frames it, or takes it for anything else. `host` is how the page was asked for. */
export function headersOf(host: string, isSecure: boolean): Record<string, string> {
  // Some browsers do not take ws: for 'self'.
  const webSocket = `${isSecure ? 'wss' : 'ws'}://${host}`;
  return {
    'content-security-policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ${webSocket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}
