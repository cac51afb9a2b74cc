import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { listenAt } from '../../src/daemon/socket-file.ts';
import { kbus } from '../cli/kbus.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { failed, refused } from '../support/refused.ts';

const MALLORY = 12_345;
const AS_MALLORY = [`--reuid=${MALLORY}`, `--regid=${MALLORY}`, '--clear-groups', process.execPath];

const canAttack =
  process.getuid?.() === 0 && spawnSync('setpriv', [...AS_MALLORY, '--version']).status === 0;
if (!canAttack) console.warn('SKIPPED: attacks by another user need root and setpriv');

/** Swaps a socket, over and over, for a link to a file; prints the number of swaps. */
const SWAP = `
const { lstatSync, renameSync, symlinkSync, unlinkSync } = require('fs');
const [path, victim] = process.argv.slice(1);
console.log('ready');
for (let swaps = 0; ; ) {
  try {
    renameSync(path, path + '.theirs');
    symlinkSync(victim, path);
    swaps++;
    if (swaps === 1 || swaps % 100 === 0) console.log(swaps);
    for (let wait = swaps % 50; wait > 0; wait--) lstatSync(path);
    unlinkSync(path);
    unlinkSync(path + '.theirs');
  } catch {}
}`;

/** Listens at a path; prints a line for each client. */
const LISTEN = `
require('net').createServer(() => console.log('a client came'))
  .listen(process.argv[1], () => console.log('listening'));`;

/** A folder that another user owns, who has a program there; and a file of root's that it would like to have. */
let theirs: string;
let victim: string;
let attacker: ChildProcess | null = null;
beforeEach(async () => {
  const top = await newFolder();
  chmodSync(top, 0o755);
  victim = join(top, 'victim');
  writeFileSync(victim, 'secret', { mode: 0o600 });
  theirs = join(top, 'theirs');
  mkdirSync(theirs);
  chownSync(theirs, MALLORY, MALLORY);
});
afterEach(async () => {
  attacker?.kill('SIGKILL');
  attacker = null;
});

/** Runs a script as the other user; resolves once it has printed a line, with what gives all that it has printed. */
async function attack(script: string, ...words: string[]): Promise<() => string> {
  attacker = spawn('setpriv', [...AS_MALLORY, '-e', script, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
  });
  let said = '';
  const { stdout } = attacker;
  stdout?.on('data', (text) => {
    said += text;
  });
  await once(stdout!, 'data');
  return () => said;
}

const rightsOf = (path: string): number[] => {
  const { mode, uid, gid } = statSync(path);
  return [mode & 0o7777, uid, gid];
};

describe.runIf(canAttack)('A program of another user', () => {
  it('gets no right on a file of root’s by swapping a socket for a link while root creates it.', async () => {
    const path = join(theirs, 'kbus0.sock');
    await attack(SWAP, path, victim);
    const before = rightsOf(victim);
    const outcomes = new Set<string>();
    // Until the attack has hit the moment that it is meant for.
    for (let round = 0; round < 200 || !outcomes.has('EPERM'); round++) {
      const server = createServer();
      const listening = listenAt(server, path, { mode: 0o666, group: MALLORY });
      outcomes.add(
        await listening.then(
          () => 'listens',
          (error) => error.code ?? error.name,
        ),
      );
      server.close();
      await setImmediate();
      expect(rightsOf(victim)).toEqual(before);
    }
  });

  it('can’t make a daemon of root’s serve in its folder, nor create anything there.', async () => {
    const swapped = join(theirs, 'kbus0.sock');
    await attack(SWAP, swapped, victim);
    const before = rightsOf(victim);
    for (const directory of [theirs, join(theirs, 'below')]) {
      const outcome = await kbus(['serve', '--directory', directory, '--mode', '0666']);
      expect(outcome.code).toBe(1);
      expect(outcome.stderr).toBe(
        `kbus: can't create sockets in ${directory}: EPERM: user ${MALLORY} owns ${theirs}, and could replace what user 0 creates there; run kbus as that user, or give ${theirs} to user 0 (chown). Choose another folder with --directory or $KBUS_DIR.\n`,
      );
    }
    expect(rightsOf(victim)).toEqual(before);
    expect(readdirSync(theirs)).toEqual([]);
  });

  it('gets no client by a socket that it creates in a folder for all.', async () => {
    chmodSync(theirs, 0o1777);
    chownSync(theirs, 0, 0);
    const said = await attack(LISTEN, join(theirs, 'kbus0.sock'));
    const error = await refused(Ksock.open(0, { directory: theirs }), 'EACCES');
    expect(error.message).toContain(
      `${theirs}/kbus0.sock is not trusted: any user can create files in ${theirs}, and user ${MALLORY} has created ${theirs}/kbus0.sock; use a folder in which only its owner may write`,
    );
    for (const command of [['bindings'], ['listen', '$.*'], ['bench', '--seconds', '1']]) {
      const outcome = await kbus([...command, '--directory', theirs]);
      expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining('not trusted')]);
    }
    const doctor = await kbus(['doctor', '--directory', theirs]);
    expect(doctor.stdout).toContain(`NO  bus 0    ${theirs}/kbus0.sock: any user can create`);
    expect(said()).toBe('listening\n');
    // A daemon doesn't take it for a dead socket, either.
    expect(await failed(LocalDaemon.start({}, { directory: theirs }))).toMatchObject({
      name: 'SocketInUseError',
    });
  });

  it('can be a client of root’s daemon, and root one of its daemon, each in the folder of the other.', async () => {
    const local = await LocalDaemon.start({}, { socket: { mode: 0o666, group: undefined } });
    chmodSync(local.directory, 0o755);
    process.seteuid?.(MALLORY);
    let theirDaemon: LocalDaemon;
    try {
      await local.open();
      theirDaemon = await LocalDaemon.start({}, { directory: theirs });
    } finally {
      process.seteuid?.(0);
    }
    await theirDaemon.open();
    await Promise.all([local.stop(), theirDaemon.stop()]);
  });
});
