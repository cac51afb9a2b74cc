import { readFileSync, statSync } from 'node:fs';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { isLoopback, type LinkAddress } from './address.ts';

/**
 * Who may connect over TCP (spec 3 §7.8).
 *
 * @example
 * ```ts
 * import { Limpet, type Security, SecurityError } from 'kbus/limpet';
 *
 * const security: Security = { keyFile: '/nowhere/key' };
 * try {
 *   new Limpet({ id: 1, links: [{ server: '0.0.0.0:7007', ...security }] });
 * } catch (error) {
 *   console.log(error instanceof SecurityError); // → true
 * }
 * ```
 */
export interface Security {
  /** A file with a key that both ends have: 32 or more hexadecimal digits. */
  readonly keyFile?: string | undefined;
  /** Files in PEM: this Limpet's certificate and its key, and the authorities that both ends trust. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
  /** Without either, TCP is for this machine only, unless this is true. */
  readonly insecure?: boolean | undefined;
}

/**
 * A link can't be made safe, or is not; the text says what to do.
 *
 * @see {@link Security} for an example
 */
export class SecurityError extends Error {
  override readonly name = 'SecurityError';
}

/** Both ends of a TLS-PSK link say this; the key is what counts. */
const IDENTITY = 'kbus-limpet';

const CIPHERS = 'ECDHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES256-CBC-SHA384:DHE-PSK-AES256-GCM-SHA384';

type Options = Omit<ConnectionOptions & TlsOptions, 'pskCallback'> & { pskCallback?: () => never };

/** The options of TLS; null for a link in the clear. Throws a SecurityError. */
export function tlsOptions(
  address: LinkAddress,
  security: Security,
  isServer: boolean,
): Options | null {
  const { keyFile, cert, key, ca, insecure } = security;
  const hasCertificate = cert !== undefined || key !== undefined || ca !== undefined;
  if ('path' in address) {
    if (keyFile === undefined && !hasCertificate) return null;
    throw new SecurityError(
      `a key or a certificate is for TCP; who may use ${address.path} is up to the rights of its folder`,
    );
  }
  if (keyFile !== undefined && hasCertificate) {
    throw new SecurityError('give a key file or certificates, not both');
  }
  if (keyFile !== undefined) return pskOptions(readKey(keyFile), isServer);
  if (hasCertificate) {
    if (cert === undefined || key === undefined || ca === undefined) {
      throw new SecurityError('with certificates, give all three: cert, key and ca');
    }
    return {
      cert: read(cert),
      key: readSecret(key),
      ca: read(ca),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    };
  }
  if (insecure === true || isLoopback(address.host)) return null;
  throw new SecurityError(
    `anybody could connect over ${address.host}:${address.port}: give a key file (--key-file) or certificates (--cert, --key, --ca) at both ends; or say --insecure if the network is safe`,
  );
}

function pskOptions(psk: Buffer, isServer: boolean): Options {
  const answer: unknown = isServer ? psk : { psk, identity: IDENTITY };
  return {
    ciphers: CIPHERS,
    // Node has PSK callbacks for TLS 1.2 only.
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    pskIdentityHint: IDENTITY,
    pskCallback: () => answer as never,
    // The key shows who is there, not a name.
    checkServerIdentity: () => undefined,
  };
}

function readKey(path: string): Buffer {
  const text = readSecret(path).toString('latin1').trim();
  if (/^(?:[0-9a-fA-F]{2}){16,64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new SecurityError(
    `${path} has no key: a key is 32 to 128 hexadecimal digits. Make one with:  openssl rand -hex 32 > ${path}`,
  );
}

/** A file that nobody else can read. */
function readSecret(path: string): Buffer {
  const bytes = read(path);
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return bytes;
  throw new SecurityError(
    `others can read ${path} (its mode is 0${mode.toString(8)}), so its key is no secret. Make it yours alone, and consider a new key:  chmod 600 ${path}`,
  );
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SecurityError(`can't read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
