import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate of this machine that is its own authority. */
export function certificate(
  folder: string,
  forNames = 'IP:127.0.0.1,DNS:localhost',
): { cert: string; key: string; ca: string } {
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  const names = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${forNames}`];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const args = ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...names];
  execFileSync('openssl', args, { stdio: 'ignore' });
  chmodSync(key, 0o600);
  return { cert, key, ca: cert };
}
