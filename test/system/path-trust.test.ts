import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkOwnPath, checkPathToSocket } from '../../src/system/path-trust.ts';
import { newFolder } from '../support/folder.ts';

const isRoot = process.getuid?.() === 0;
const MALLORY = 12_345;
const ALICE = 12_346;

let top: string;
beforeEach(async () => {
  top = await newFolder();
});

/** Creates a folder in `top` with this mode, for this user and group. */
function folder(path: string, mode: number, uid = process.geteuid?.() ?? 0, gid = uid): string {
  const made = join(top, path);
  mkdirSync(made);
  if (isRoot) chownSync(made, uid, gid);
  chmodSync(made, mode);
  return made;
}

function link(target: string, path: string, uid: number): string {
  const made = join(top, path);
  symlinkSync(target, made);
  lchownSync(made, uid, uid);
  return made;
}

function file(path: string, uid: number): string {
  const made = join(top, path);
  writeFileSync(made, '');
  chownSync(made, uid, uid);
  return made;
}

/** What is wrong with a path: '' for nothing. */
function wrong(check: (path: string) => void, path: string): string {
  try {
    check(path);
    return '';
  } catch (error) {
    return (error as Error).message.replaceAll(top, '…');
  }
}

describe('A folder to create files in', () => {
  const own = (path: string): string => wrong(checkOwnPath, path);

  it('is trusted if only its user may write there, also in a sticky folder, or if it does not exist.', () => {
    expect(own(folder('mine', 0o755))).toBe('');
    expect(own(folder('shared', 0o1777))).toBe('');
    expect(own(folder('shared/mine', 0o700))).toBe('');
    expect(own(join(top, 'none', 'below'))).toBe('');
    expect(own(join(top, 'mine', '..', 'mine'))).toBe('');
  });

  it('is not trusted if others may write in it, or in a folder above.', () => {
    const says = (who: string, where: string, mode: string): string =>
      `${who} may write in ${where}, and could replace what lies there; forbid that (chmod ${mode} ${where}), or make it sticky (chmod +t)`;
    const open = folder('open', 0o777);
    expect(own(open)).toBe(says('any user', '…/open', 'o-w'));
    expect(own(join(open, 'below'))).toBe(says('any user', '…/open', 'o-w'));
    const below = folder('open/below', 0o700);
    expect(own(below)).toBe(says('any user', '…/open', 'o-w'));
    symlinkSync(below, join(top, 'link'));
    expect(own(join(top, 'link'))).toBe(says('any user', '…/open', 'o-w'));
  });

  it.runIf(isRoot)('is not trusted if a group may write there that is not its owner’s own.', () => {
    expect(own(folder('team', 0o775, 0, 44))).toContain('group 44 may write in …/team,');
    expect(own(folder('private', 0o775, 0, 0))).toBe('');
  });

  it.runIf(isRoot)('is not trusted if another user owns it, a folder above, or a link.', () => {
    const theirs = `user ${MALLORY} owns …/theirs, and could replace what user 0 creates there; run kbus as that user, or give …/theirs to user 0 (chown)`;
    const folderOfMallory = folder('theirs', 0o755, MALLORY);
    expect(own(folderOfMallory)).toBe(theirs);
    expect(own(folder('theirs/mine', 0o700))).toBe(theirs);
    expect(own(join(folderOfMallory, 'none'))).toBe(theirs);
    folder('shared', 0o1777);
    folder('mine', 0o700);
    expect(own(link(join(top, 'mine'), 'shared/link', MALLORY))).toContain('…/shared/link, and');
    expect(own(link('../mine', 'shared/good', 0))).toBe('');
    link('../theirs', 'shared/bad', 0);
    expect(own(join(top, 'shared/bad/none'))).toBe(theirs);
  });

  it('may be a link that leads nowhere, or in a circle.', () => {
    symlinkSync('circle', join(top, 'circle'));
    symlinkSync('none', join(top, 'dangling'));
    expect([own(join(top, 'circle')), own(join(top, 'dangling'))]).toEqual(['', '']);
  });
});

describe.runIf(isRoot)('A socket', () => {
  const socket = (path: string): string => wrong(checkPathToSocket, path);

  it('is trusted in a folder of any user in which only that one may write.', () => {
    folder('theirs', 0o755, MALLORY);
    expect(socket(file('theirs/kbus0.sock', MALLORY))).toBe('');
    folder('theirs/below', 0o755, MALLORY);
    expect(socket(file('theirs/below/kbus0.sock', MALLORY))).toBe('');
    expect(socket(join(top, 'theirs', 'none'))).toBe('');
  });

  it('is not trusted if a stranger created it, its folder, or a link to it, where anybody may.', () => {
    folder('shared', 0o1777);
    const created = (at: string): string =>
      `any user can create files in …/shared, and user ${MALLORY} has created …/shared/${at}; use a folder in which only its owner may write`;
    expect(socket(file('shared/kbus0.sock', MALLORY))).toBe(created('kbus0.sock'));
    expect(socket(file('shared/kbus1.sock', 0))).toBe('');
    folder('shared/kbus', 0o755, MALLORY);
    expect(socket(join(top, 'shared/kbus/kbus0.sock'))).toBe(created('kbus'));
    folder('mine', 0o755);
    file('mine/kbus0.sock', 0);
    link('../mine', 'shared/link', MALLORY);
    expect(socket(join(top, 'shared/link/kbus0.sock'))).toBe(created('link'));
  });

  it('is trusted if it is the user’s own, or that of the sticky folder’s owner.', () => {
    folder('shared', 0o1777, ALICE);
    expect(socket(file('shared/kbus0.sock', ALICE))).toBe('');
    chmodSync(top, 0o755);
    folder('ours', 0o1777);
    file('ours/kbus0.sock', ALICE);
    process.seteuid?.(ALICE);
    try {
      expect(socket(join(top, 'ours/kbus0.sock'))).toBe('');
    } finally {
      process.seteuid?.(0);
    }
  });

  it('is not trusted where any user, or another group, may replace it.', () => {
    folder('open', 0o777);
    expect(socket(file('open/kbus0.sock', 0))).toContain('any user may write in …/open, and');
    folder('team', 0o775, ALICE, 44);
    expect(socket(file('team/kbus0.sock', ALICE))).toContain('group 44 may write in …/team, and');
  });

  it('is left to the system where the user may not look.', () => {
    folder('hidden', 0o700);
    file('hidden/kbus0.sock', MALLORY);
    process.seteuid?.(ALICE);
    try {
      expect(socket(join(top, 'hidden/kbus0.sock'))).toBe('');
    } finally {
      process.seteuid?.(0);
    }
  });
});
