import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { checkServerIdentity } from 'node:tls';
import type {
  Msg,
  NatsConnection,
  NodeConnectionOptions,
  TlsOptions,
} from '@nats-io/transport-node';
import { jittered } from '../../client/ports/reconnect-options.ts';
import {
  type ConnectEngine,
  type Engine,
  EngineError,
  type EngineEvents,
  type EngineStream,
  type EngineWants,
} from './engine.ts';
import { JetStream, jetStreamLibrary } from './jetstream.ts';
import { cantConnect, notAllowed } from './nats-errors.ts';

/** Delays before another attempt to connect, in milliseconds. */
const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 10_000;

/** A server that does not answer this often, at this distance, is out of reach. */
const PING_EVERY_MS = 5000;
const MAX_PINGS = 2;

const CONNECT_TIMEOUT_MS = 5000;

/**
 * How to reach NATS.
 *
 * @see {@link natsEngine} for an example
 */
export interface NatsOptions {
  /** `nats://host:4222`, `tls://…`, with `user:password@` before the host if need be; several are of one cluster. */
  readonly nats: string | readonly string[];
  /** A file with credentials, as `nsc` makes it. */
  readonly credentials?: string | undefined;
  /** A file with the seed of an nkey. */
  readonly nkey?: string | undefined;
  /** PEM files: the authorities that are trusted; the certificate of this Limpet, and its key. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

type Nats = typeof import('@nats-io/transport-node');

/**
 * A NATS server as the engine of a federation, for {@link LinkOptions.engine}. It connects when the Limpet starts, and again
 * whenever the connection is lost. Throws a TypeError that says what is wrong with the options.
 *
 * @example
 * ```ts
 * import { Bus } from 'kbus';
 * import { Limpet } from 'kbus/limpet';
 * import { type NatsOptions, natsEngine } from 'kbus/limpet/nats';
 *
 * const options: NatsOptions = { nats: 'tls://first.example:4222', credentials: 'plant.creds' };
 * export const limpet = new Limpet({
 *   id: 7,
 *   bus: new Bus(),
 *   links: [{ engine: natsEngine(options), federation: 'plant', mode: 'stream' }],
 * });
 * ```
 */
export function natsEngine(options: NatsOptions): ConnectEngine {
  const settings = settingsOf(options);
  return (wants, events, signal) =>
    new Promise((resolve, reject) => {
      let wasUp = false;
      const up = (): void => {
        wasUp = true;
        resolve();
      };
      run(options, settings, wants, events, signal, up).then(resolve, (error: Error) => {
        if (wasUp) events.lost(error.message);
        else reject(error);
      });
    });
}

/** Connects, and again whenever the client of NATS gives up, until `signal` is aborted. */
async function run(
  options: NatsOptions,
  settings: Settings,
  wants: EngineWants,
  events: EngineEvents,
  signal: AbortSignal,
  up: () => void,
): Promise<void> {
  const nats = await library();
  const jetStream = wants.stream === undefined ? null : await jetStreamLibrary();
  const authenticator = authenticatorOf(nats, options);
  for (const file of [options.ca, options.cert, options.key]) {
    if (file !== undefined) readKey(file);
  }
  let wait = FIRST_DELAY_MS;
  while (!signal.aborted) {
    try {
      const connection = await nats.connect({
        ...settings,
        ...(authenticator && { authenticator }),
        inboxPrefix: wants.answers,
      });
      wait = FIRST_DELAY_MS;
      const stream =
        jetStream === null || wants.stream === undefined
          ? undefined
          : new JetStream(jetStream, connection, wants.stream);
      const closed = serve(nats, connection, wants, stream, events, signal);
      up();
      await closed;
    } catch (error) {
      const why = cantConnect(settings.servers, error as Error);
      if (error instanceof nats.AuthorizationError) throw why;
      events.lost(why.message);
    }
    await delay(jittered(wait), undefined, { signal }).catch(() => {});
    wait = Math.min(wait * 2, LAST_DELAY_MS);
  }
}

async function library(): Promise<Nats> {
  try {
    return await import('@nats-io/transport-node');
  } catch (cause) {
    throw new EngineError(
      'a link over NATS needs the NATS client, which is not installed: npm install @nats-io/transport-node',
      { cause },
    );
  }
}

type Settings = NodeConnectionOptions & { readonly servers: string[] };

function settingsOf({ nats, ca, cert, key }: NatsOptions): Settings {
  const words = typeof nats === 'string' ? nats.split(',') : nats;
  const urls = words.map(urlOf);
  const [first] = urls;
  if (first === undefined) throw new TypeError('a link over NATS needs the address of a server');
  const hosts = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ''));
  const isTls = urls.some(({ protocol }) => protocol === 'tls:');
  const hasFiles = ca !== undefined || cert !== undefined || key !== undefined;
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError('a certificate needs its key, and the reverse: give both');
  }
  return {
    servers: urls.map(({ host }) => host),
    name: 'kbus limpet',
    noEcho: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: FIRST_DELAY_MS,
    reconnectJitter: FIRST_DELAY_MS,
    pingInterval: PING_EVERY_MS,
    maxPingOut: MAX_PINGS,
    timeout: CONNECT_TIMEOUT_MS,
    ...(first.username !== '' && {
      user: decodeURIComponent(first.username),
      pass: decodeURIComponent(first.password),
    }),
    ...((isTls || hasFiles) && {
      tls: {
        ...(ca !== undefined && { caFile: ca }),
        ...(cert !== undefined && { certFile: cert }),
        ...(key !== undefined && { keyFile: key }),
        checkServerIdentity: identityCheck(hosts),
      } as TlsOptions,
    }),
  };
}

function urlOf(word: string): URL {
  const text = word.includes('://') ? word : `nats://${word}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`'${word}' is no address of a NATS server: give nats://host:4222`);
  }
  if (url.protocol !== 'nats:' && url.protocol !== 'tls:') {
    throw new TypeError(
      `'${word}' is no address of a NATS server: it begins with nats:// or tls://`,
    );
  }
  if (url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw new TypeError(`'${word}' is no address of a NATS server: give nats://host:4222`);
  }
  if (url.port === '') url.port = '4222';
  return url;
}

function authenticatorOf(nats: Nats, { credentials, nkey }: NatsOptions) {
  if (credentials !== undefined) {
    const authenticator = nats.credsAuthenticator(readKey(credentials));
    checkKey(authenticator, `${credentials} holds no credentials as nsc makes them`);
    return authenticator;
  }
  if (nkey !== undefined) {
    const seed = new TextDecoder().decode(readKey(nkey)).trim();
    const authenticator = nats.nkeyAuthenticator(new TextEncoder().encode(seed));
    checkKey(authenticator, `${nkey} holds no seed of an nkey: it begins with S`);
    return authenticator;
  }
  return null;
}

/** The client looks at a file only when a server asks. */
function checkKey(authenticator: (nonce?: string) => unknown, text: string): void {
  try {
    authenticator('nonce');
  } catch (cause) {
    throw new EngineError(text, { cause });
  }
}

function readKey(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new EngineError(`can't read ${file}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Checks that the certificate of a server is for the address that was given. Where that has no name, the NATS client gives `localhost`
 * in its place.
 */
function identityCheck(hosts: readonly string[]): typeof checkServerIdentity {
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (name, certificate) => {
    const isNamed = name !== 'localhost' || hosts.includes(name) || addresses.length === 0;
    const names = isNamed ? [name] : addresses;
    const faults = names.map((each) => checkServerIdentity(each, certificate));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}

/** Passes on what a connection brings; resolves when it is closed for good. */
async function serve(
  nats: Nats,
  connection: NatsConnection,
  wants: EngineWants,
  stream: EngineStream | undefined,
  events: EngineEvents,
  signal: AbortSignal,
): Promise<void> {
  const engine: Engine = {
    get maxPayload() {
      return connection.info?.max_payload ?? 0;
    },
    publish: (subject, bytes) => {
      if (!connection.isClosed()) connection.publish(subject, bytes);
    },
    close: () => connection.drain().catch(() => connection.close()),
    stream,
  };
  for (const subject of wants.subjects) {
    connection.subscribe(subject, {
      callback: (error: Error | null, message: Msg) => {
        if (error === null) events.received(message.subject, message.data);
        else events.forbidden(notAllowed(error.message));
      },
    });
  }
  const statuses = connection.status();
  events.up(engine);
  if (signal.aborted) await engine.close();
  for await (const status of statuses) {
    if (status.type === 'disconnect') events.lost('the connection to the NATS server is lost');
    else if (status.type === 'reconnect') events.up(engine);
    else if (status.type === 'error' && status.error instanceof nats.PermissionViolationError) {
      events.forbidden(notAllowed(status.error.message));
    }
  }
  const error = await connection.closed();
  if (error instanceof Error) throw error;
}
