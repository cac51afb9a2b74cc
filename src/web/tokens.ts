import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import process from 'node:process';
import { addressFile, openingFile } from '../system/web-address-file.ts';

/** A token is 256 random bits in base64url. */
const TOKEN_BYTES = 32;
const TOKEN = /#token=([\w-]{43})\n?$/;

export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Whether a text is this token. Its time does not depend on how much of it is right. */
export function isToken(text: string, token: string): boolean {
  return timingSafeEqual(hashOf(text), hashOf(token));
}

interface Token {
  /** The name of the access point whose rights it gives; '' for all rights. */
  readonly access: string;
  readonly text: string;
  readonly hash: Buffer;
}

/** The tokens of a daemon: one for each access point that pages may use. */
export class Tokens {
  private readonly tokens: readonly Token[];
  private readonly directory: string;
  private readonly written: string[] = [];

  /** `areKept`: the tokens of the files in `directory`, if there are any, stay what they are. */
  constructor(directory: string, accessNames: readonly string[], areKept: boolean) {
    this.directory = directory;
    this.tokens = accessNames.map((access) => {
      const kept = areKept ? readToken(addressFile(directory, access)) : undefined;
      const text = kept ?? newToken();
      return { access, text, hash: hashOf(text) };
    });
  }

  /** The access point of a token; undefined for a wrong one. Its time does not depend on how much of it is right. */
  accessOf(text: string): string | undefined {
    const hash = hashOf(text);
    let found: string | undefined;
    for (const token of this.tokens) if (timingSafeEqual(hash, token.hash)) found = token.access;
    return found;
  }

  /** Writes each to a file that only its owner may read, as the address of the page at `home`. */
  write(home: string): void {
    for (const { access, text } of this.tokens) {
      const path = addressFile(this.directory, access);
      // A file that is there may belong to another user, or be a link.
      rmSync(path, { force: true });
      const { O_CREAT, O_EXCL, O_WRONLY } = constants;
      const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
      try {
        writeSync(file, `${home}/#token=${text}\n`);
      } finally {
        closeSync(file);
      }
      // What leads browsers here is useless without this daemon.
      this.written.push(path, openingFile(this.directory, access));
    }
  }

  remove(): void {
    for (const path of this.written.splice(0)) rmSync(path, { force: true });
  }
}

/** The token of a file, if only this user can have read it. */
function readToken(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch {
    return undefined;
  }
  try {
    const { mode, uid } = fstatSync(file);
    const isOwn =
      process.platform === 'win32' || (uid === process.geteuid?.() && (mode & 0o077) === 0);
    return isOwn ? TOKEN.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
  } finally {
    closeSync(file);
  }
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
