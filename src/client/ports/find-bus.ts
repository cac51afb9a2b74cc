import { constants, existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { quoted } from '../../base/quoted.ts';
import { Errno } from '../../message/errno.ts';
import { checkPathToSocket, PathTrustError } from '../../system/path-trust.ts';
import { mayUse } from '../../system/program-path.ts';
import {
  accessPointsIn,
  busesIn,
  checkSocketPath,
  DirectoryError,
  placesToLook,
  SocketPathError,
  socketDirectory,
  socketPath,
} from '../../system/socket-folder.ts';
import { PortError } from './port.ts';

/** A bus, and the name of an access point; by default, the one without a name. */
export interface Where {
  readonly bus: number;
  readonly access?: string | undefined;
}

/** Why a client did not find its bus in one directory. */
interface Look {
  /** `no daemon answers at /run/kbus/kbus0.sock`. */
  readonly says: string;
  readonly errno: number;
  /** Numbers of the other buses that a daemon serves there. */
  readonly others: readonly number[];
  /** The bus is there, but not the access point. */
  readonly lacksAccess?: boolean;
  readonly cause: unknown;
}

const ADD_ACCESS = 'add a table [[access]] to the configuration file of its daemon';

/** A client has found its bus in none of the directories. */
export class NoBusError extends Error {
  override readonly name = 'NoBusError';
  // Private to the language, too: Node prints the properties of an error that nobody caught, and these say nothing more.
  readonly #bus: number;
  readonly #given: string | undefined;
  readonly #looks: readonly Look[];

  constructor({ bus }: Where, given: string | undefined, looks: readonly Look[]) {
    super(looks.map(({ says }) => says).join('; '), { cause: looks[0]?.cause });
    this.#bus = bus;
    this.#given = given;
    this.#looks = looks;
  }

  /** The most important of the errors: a bus that refused comes first, then a path that is too long. */
  get errno(): number {
    const all = this.#looks.map(({ errno }) => errno);
    return [Errno.EACCES, Errno.ENAMETOOLONG].find((errno) => all.includes(errno)) ?? Errno.ENOENT;
  }

  /** The text for programs: what it means, and what to do. */
  get meaning(): string {
    const lacking = this.#looks.find(({ lacksAccess }) => lacksAccess);
    if (lacking !== undefined) return `${lacking.says}; ${ADD_ACCESS}`;
    const others = this.others();
    const serve = `\`${this.serve('kbus')}\``;
    if (others === '') {
      const first = this.needsFolder ? 'set KBUS_DIR to a folder of your own, and ' : '';
      return `there is no bus ${this.#bus}; ${first}start one with ${serve}`;
    }
    return `there is no bus ${this.#bus}, but ${others}; newDevice() makes the next one, or stop the daemon and start it with ${serve}`;
  }

  /** The text for people, in lines. `kbus` is the command that runs this program; `option`, what the daemon needs. */
  lines(kbus: string, option = ''): string {
    const lacking = this.#looks.find(({ lacksAccess }) => lacksAccess);
    if (lacking !== undefined) return `${lacking.says}.\nTo add one, ${ADD_ACCESS}.`;
    const sentences = this.#looks.map(
      ({ says }) => `${says.charAt(0).toUpperCase()}${says.slice(1)}.`,
    );
    const [first = '', ...more] = sentences;
    const found = [
      `there is no bus ${this.#bus}: ${first.charAt(0).toLowerCase()}${first.slice(1)}`,
    ];
    const others = this.others();
    const lines = [[...found, ...more].join(' ')];
    if (others === '') {
      if (this.needsFolder)
        lines.push(
          'Set KBUS_DIR to a folder of your own, in each terminal:  export KBUS_DIR=$HOME/.kbus',
        );
      lines.push(`Start it in another terminal with:  ${this.serve(kbus, option)}`);
      lines.push('If it runs elsewhere, say where with --directory, or with $KBUS_DIR.');
    } else {
      const what = `${others.charAt(0).toUpperCase()}${others.slice(1)}`;
      lines.push(
        `${what}: that daemon has fewer buses. Stop it, and start it with:  ${this.serve(kbus, option)}`,
      );
    }
    return lines.join('\n');
  }

  /** `kbus serve` has no directory to serve in. */
  private get needsFolder(): boolean {
    try {
      socketDirectory(this.#given);
      return false;
    } catch {
      return true;
    }
  }

  private serve(kbus: string, option = ''): string {
    const where = this.#given === undefined ? '' : ` --directory ${quoted(this.#given)}`;
    const buses = this.#bus === 0 ? '' : ` --buses ${this.#bus + 1}`;
    return `${kbus} serve${where}${buses}${option === '' ? '' : ` ${option}`}`;
  }

  /** `buses 0 and 1 exist`; empty if there are none. */
  private others(): string {
    const numbers = this.#looks.find(({ others }) => others.length > 0)?.others ?? [];
    const last = numbers.at(-1);
    if (numbers.length < 2) return last === undefined ? '' : `bus ${last} exists`;
    const isRange = numbers.length > 2 && last === (numbers[0] as number) + numbers.length - 1;
    return `buses ${isRange ? `${numbers[0]} to` : `${numbers.slice(0, -1).join(', ')} and`} ${last} exist`;
  }
}

/**
 * Connects to a bus in the first directory in which a daemon serves it. `connect` rejects with the system's error, or
 * with a PortError, which ends the search. Rejects with a PortError: ENOENT, EACCES or ENAMETOOLONG, caused by a
 * {@link NoBusError}, if no directory has the bus; ECONNRESET for any other error, which ends the search.
 */
export async function findBus<T>(
  where: Where,
  given: string | undefined,
  connect: (path: string) => Promise<T>,
): Promise<{ directory: string; connected: T }> {
  const looks: Look[] = [];
  for (const directory of placesToLook(given)) {
    try {
      const path = socketPath(directory, where.bus, where.access);
      checkSocketPath(path);
      checkPathToSocket(path);
      return { directory, connected: await connect(path) };
    } catch (error) {
      looks.push(await lookAt(directory, where, error));
    }
  }
  const error = new NoBusError(where, given, looks);
  const refusal = new PortError(error.errno, error.message, error);
  if (error.errno === Errno.ENOENT) refusal.meaning = error.meaning;
  if (looks.some(({ cause }) => cause instanceof PathTrustError)) {
    refusal.meaning = 'the client connects to no socket that a stranger may have put there';
  }
  throw refusal;
}

async function lookAt(directory: string, where: Where, error: unknown): Promise<Look> {
  const look = { others: [], cause: error };
  const { bus, access } = where;
  if (error instanceof PortError) throw error;
  if (error instanceof SocketPathError) {
    return { ...look, says: error.message, errno: Errno.ENAMETOOLONG };
  }
  if (error instanceof PathTrustError) {
    const says = `${socketPath(directory, bus, access)} is not trusted: ${error.message}`;
    return { ...look, says, errno: Errno.EACCES };
  }
  if (error instanceof DirectoryError) {
    return { ...look, says: error.message.replace(/\.$/, ''), errno: Errno.ENOENT };
  }
  const path = socketPath(directory, bus, access);
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    const what = mayUse(directory, constants.X_OK) ? `use ${path}` : `look into ${directory}`;
    const usable = usableAt(directory, bus).filter((name) => name !== access);
    const but = usable.length === 0 ? '' : `, but may use access point ${listed(usable)} there`;
    return { ...look, says: `this user may not ${what}${but}`, errno: Errno.EACCES };
  }
  if (code === 'ECONNREFUSED') {
    const says = `no daemon answers at ${path}, which a dead daemon has left`;
    return { ...look, says, errno: Errno.ENOENT };
  }
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    throw new PortError(Errno.ECONNRESET, `${path}: ${message}`, error);
  }
  if (access !== undefined && existsSync(socketPath(directory, bus))) {
    const names = namesOf(directory, bus);
    const has = names.length === 0 ? 'only the one without a name' : listed(names);
    const says = `bus ${bus} in ${directory} has no access point '${access}'; it has ${has}`;
    return { ...look, says, errno: Errno.ENOENT, lacksAccess: true };
  }
  const others = await servedIn(directory);
  return { ...look, says: `no daemon answers at ${path}`, errno: Errno.ENOENT, others };
}

/** The names of the access points of a bus that this user may use. */
function usableAt(directory: string, bus: number): string[] {
  const mayConnect = (name: string): boolean =>
    mayUse(socketPath(directory, bus, name), constants.W_OK);
  return namesOf(directory, bus).filter(mayConnect);
}

function namesOf(directory: string, bus: number): string[] {
  try {
    return accessPointsIn(directory, bus);
  } catch {
    return [];
  }
}

const listed = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(' or ');

/** The buses that a daemon serves in a directory. Its first socket tells: a dead daemon leaves all of its sockets. */
async function servedIn(directory: string): Promise<number[]> {
  try {
    const buses = busesIn(directory);
    await knock(socketPath(directory, buses[0] ?? 0));
    return buses;
  } catch {
    return [];
  }
}

/** Resolves when a program accepts a connection at the path; sends nothing. Rejects with the system's error. */
export function knock(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    checkSocketPath(path);
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}
