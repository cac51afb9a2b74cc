import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { programPath } from '../system/program-path.ts';

/** A browser that is started in the foreground never says that it is open: after so many milliseconds, it is taken to be. */
const PATIENCE_MS = 5000;

/**
 * Opens an address in the browser of the system; gives why it could not, or null. The address holds a token, and other users
 * see the command lines of programs: so the browser gets `file`, which only this user can read, and which leads there.
 */
export async function openBrowser(address: string, file: string): Promise<string | null> {
  const name = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const opener = programPath(name);
  if (opener === undefined) return `this system has no ${name}`;
  try {
    // A file that is there may belong to another user, or be a link.
    rmSync(file, { force: true });
    writeFileSync(file, pageTo(address), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    return (error as Error).message;
  }
  return new Promise((resolve) => {
    const child = spawn(opener, [file], { stdio: 'ignore', detached: true });
    const timer = setTimeout(() => {
      child.unref();
      resolve(null);
    }, PATIENCE_MS);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve(error.message);
    });
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? null : `${name} ended with ${code ?? 'a signal'}`);
    });
  });
}

function pageTo(address: string): string {
  const url = address.replace(/[&"<>]/g, (one) => `&#${one.charCodeAt(0)};`);
  return `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>KBUS</title><meta http-equiv="refresh" content="0; url=${url}"><p><a href="${url}">The page of KBUS</a></p>\n`;
}
