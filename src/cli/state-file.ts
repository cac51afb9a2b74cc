import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { LinkOptions } from '../limpet/limpet.ts';
import { absolute, placesToLook, socketPath } from '../system/socket-folder.ts';

/** The folder for what outlasts a program: systemd's `StateDirectory=`, or the user's own. */
function stateFolder(): string {
  const { STATE_DIRECTORY, XDG_STATE_HOME } = process.env;
  const [given] = STATE_DIRECTORY?.split(':') ?? [];
  return given || join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'kbus');
}

/** The folder of the daemon's sockets in which a client finds this bus. */
export function folderOfBus(bus: number, given: string | undefined): string {
  const places = placesToLook(given).map(absolute);
  return places.find((place) => existsSync(socketPath(place, bus))) ?? places[0] ?? '';
}

/**
 * The link with a file for how far the bus has the stream, where one is needed and none is given: the same for all Limpets of this
 * bus, whether the daemon runs them or not.
 */
export function withState(link: LinkOptions, bus: number, folder: string): LinkOptions {
  const { federation, mode, state } = link;
  if (mode !== 'stream' || state !== undefined) return link;
  const place = createHash('sha256').update(folder).digest('hex').slice(0, 8);
  return { ...link, state: join(stateFolder(), `${federation}-${bus}-${place}.cursor`) };
}
