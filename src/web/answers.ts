import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { escaped } from '../base/escape.ts';
import { headersOf, type Pages } from './pages.ts';
import type { Names } from './web-address.ts';
import { WebError } from './web-error.ts';

/** A header, and a whole request, must come within these times, in milliseconds. */
const HEADERS_TIMEOUT_MS = 2000;
export const REQUEST_TIMEOUT_MS = 5000;
const IDLE_TIMEOUT_MS = 5000;
const MAX_HEADER_BYTES = 8192;

/** What a server of HTTP gives its clients. */
export const HTTP_SETTINGS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: IDLE_TIMEOUT_MS,
  connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
};

/** Why a request is refused. */
export interface Refusal {
  readonly status: number;
  readonly why: string;
}

/** Answers what is no page. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers the requests of HTTP that ask for a page, if they call the server by one of its names. */
export class Answers {
  names: Names;
  private readonly pages: Pages;
  private readonly others: ReadonlyMap<string, Answer>;

  /** `others` answer the paths that are no pages. */
  constructor(pages: Pages, names: Names, others: ReadonlyMap<string, Answer> = new Map()) {
    this.pages = pages;
    this.names = names;
    this.others = others;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '' } = request;
    const refused = this.refusal(request);
    const other = this.others.get(url);
    if (refused !== null) {
      this.send(request, response, refused.status, refused.why);
    } else if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      this.send(request, response, 405, 'this daemon answers GET and HEAD only');
    } else if (url.includes('?')) {
      const why =
        'addresses of this daemon have no query; a token belongs behind #, where browsers keep it to themselves';
      this.send(request, response, 400, why);
    } else if (other !== undefined) {
      other(request, response);
    } else {
      const page = this.pages.get(url);
      if (page === undefined) this.send(request, response, 404, 'there is no such page');
      else this.send(request, response, 200, page.bytes, page.type);
    }
  }

  send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    body: string | Uint8Array,
    type = 'text/plain; charset=utf-8',
  ): void {
    const bytes = typeof body === 'string' ? Buffer.from(`${body}\n`) : body;
    this.head(request, response);
    response.setHeader('content-type', type);
    response.setHeader('content-length', bytes.length);
    // Nobody waits for the body of a request that is refused.
    if (status !== 200) response.setHeader('connection', 'close');
    response.writeHead(status);
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  /** Sets the headers that every answer has. */
  head({ headers }: IncomingMessage, response: ServerResponse): void {
    const isKnown = this.names.hosts.has(headers.host ?? '');
    const host = isKnown ? (headers.host as string) : 'localhost';
    // By TLS of its own, or of a proxy.
    const isSecure = this.names.origins.has(`https://${host}`);
    for (const [name, value] of Object.entries(headersOf(host, isSecure))) {
      response.setHeader(name, value);
    }
    const { origin } = headers;
    // Modules are fetched with CORS.
    response.setHeader('vary', 'Origin');
    if (isKnown && origin !== undefined && this.names.origins.has(origin)) {
      response.setHeader('access-control-allow-origin', origin);
    } else {
      response.setHeader('cross-origin-resource-policy', 'same-origin');
    }
  }

  /** Why a request is not answered: it calls the server by a wrong name. */
  refusal({ headersDistinct }: IncomingMessage): Refusal | null {
    const { hosts } = this.names;
    const { host: given = [] } = headersDistinct;
    const [host = ''] = given;
    if (given.length === 1 && hosts.has(host)) return null;
    const known = [...hosts].join(', ');
    const what = given.length > 1 ? 'several Host headers' : `Host '${shown(host)}'`;
    const why = `${what}: this daemon is known as ${known} only; use one of these, or add the origin of your proxy to web-origins`;
    return { status: 421, why };
  }

  /** Why it comes from a wrong page. Programs that are no browsers send no Origin. A page can't leave it out. */
  refusalOfOrigin({ headersDistinct }: IncomingMessage): Refusal | null {
    const { origins } = this.names;
    const { origin: given = [] } = headersDistinct;
    if (given.length === 0 || (given.length === 1 && origins.has(given[0] as string))) return null;
    const allowed = origins.size === 0 ? 'none is' : `${[...origins].join(', ')} are`;
    const why = `pages of '${shown(given.join(', '))}' are not admitted; ${allowed}. To admit them, add their origin to web-origins`;
    return { status: 403, why };
  }
}

/** Listens at an address and port. Throws a WebError. */
export function listen(
  server: Server,
  { host, port }: { host: string; port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const advice =
        error.code === 'EADDRINUSE'
          ? 'another program listens there; stop it, or choose another port'
          : 'choose another address or port';
      const why = `can't listen at ${host}, port ${port} (${error.code}): ${advice}`;
      reject(new WebError(`web: ${why}`, { cause: error }));
    });
    server.listen({ host, port, ipv6Only: true }, resolve);
  });
}

/** What a client says, as answers and the log show it. */
function shown(text: string): string {
  return escaped(text.slice(0, 100));
}
