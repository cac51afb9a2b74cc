import { join } from 'node:path';

/**
 * The file with the address of the daemon's page, which holds a token: `kbus.web` in the folder of the sockets, or
 * `kbus.guest.web` for an access point. Only its owner can read it.
 */
export function addressFile(directory: string, access: string): string {
  return join(directory, access === '' ? 'kbus.web' : `kbus.${access}.web`);
}

/** A file that leads a browser to that page: beside it, and as private. `kbus web --open` writes it. */
export function openingFile(directory: string, access: string): string {
  return `${addressFile(directory, access)}.html`;
}
