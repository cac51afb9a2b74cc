import { EngineError } from './engine.ts';

/** What stands in the way of a connection, in words that say what to do. */
export function cantConnect(servers: readonly string[], cause: Error): EngineError {
  const text = `can't connect to NATS at ${servers.join(', ')}: ${reasonOf(cause)}`;
  return new EngineError(text, { cause });
}

function reasonOf({ name, message }: Error): string {
  if (name === 'AuthorizationError') {
    return 'the server does not accept these credentials (user:password@ in the address, --creds, --nkey)';
  }
  const [, host] = /getaddrinfo \w+ (\S+)/i.exec(message) ?? [];
  if (host !== undefined) return `no machine of the name '${host}' is found: check the address`;
  if (/connection refused/i.test(message)) {
    return 'connection refused: no server listens there, or a firewall is in the way';
  }
  if (/support.*tls/i.test(message)) {
    return 'the server has no TLS: set it up there, or give nats:// without --ca, --cert and --key';
  }
  const why = message.charAt(0).toLowerCase() + message.slice(1);
  if (/altnames/i.test(message)) {
    return `the certificate of the server is not for this address: ${message.replace(/[\s:]+$/, '')}`;
  }
  if (!/certificate|issuer/i.test(message)) return why;
  return `${why}: with --ca, give the authority that signed the certificate of the server`;
}

/** The server does not allow the program to publish or to subscribe. */
export function notAllowed(message: string): string {
  const [, what = '', subject] =
    /permissions violation for (\w+) to "([^"]+)"/i.exec(message) ?? [];
  if (subject === undefined) return message;
  const does = what.toLowerCase() === 'publish' ? 'publish on' : 'subscribe to';
  return `the NATS server does not allow this Limpet to ${does} ${subject}: check its network id and its user, whose permissions docs/machines.md lists (Who may say what)`;
}
