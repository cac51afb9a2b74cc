import { beforeEach, describe, expect, it } from 'vitest';
import { Chain, type Linked } from '../../src/base/chain.ts';

class Member implements Linked<Member> {
  readonly name: string;
  newerOfAll: Member | null = null;
  olderOfAll: Member | null = null;
  stop: Linked<Member>['stop'] = null;

  constructor(name: string) {
    this.name = name;
  }
}

let chain: Chain<Member>;
let members: Record<string, Member>;
beforeEach(() => {
  chain = new Chain();
  members = {};
  for (const name of 'abcdef') add(name);
});

function add(name: string): void {
  members[name] = new Member(name);
  chain.add(members[name]);
}

function remove(names: string): void {
  for (const name of names) chain.remove(members[name] as Member);
}

const all = (): string => Array.from(chain, ({ name }) => name).join('');

describe('A chain', () => {
  it('has its members, newest first, however they come and leave.', () => {
    expect(all()).toBe('fedcba');
    remove('facd');
    add('g');
    expect(all()).toBe('geb');
    remove('gbe');
    expect(all()).toBe('');
    add('h');
    expect(all()).toBe('h');
  });

  it('shows a cursor each member that stays once, whatever leaves, and none that comes later.', () => {
    const cursor = chain.cursor();
    const rest = (): string[] => {
      const found: string[] = [];
      for (let one = cursor.next(); one !== null; one = cursor.next()) found.push(one.name);
      return found;
    };
    expect(cursor.next()?.name).toBe('f');
    add('g');
    // The member that the cursor comes to next, one after the other; and the one that it has seen.
    remove('edf');
    expect(cursor.next()?.name).toBe('c');
    remove('b');
    expect(rest()).toEqual(['a']);
    expect(rest()).toEqual([]);
  });

  it('moves many cursors that meet at one member.', () => {
    const cursors = 'fedcba'.split('').map((_, steps) => {
      const cursor = chain.cursor();
      for (let step = 0; step < steps; step++) cursor.next();
      return cursor;
    });
    remove('fedc');
    expect(cursors.map((cursor) => cursor.next()?.name)).toEqual(['b', 'b', 'b', 'b', 'b', 'a']);
    remove('ba');
    expect(cursors.map((cursor) => cursor.next())).toEqual(Array(6).fill(null));
  });

  it('is not reachable from a member that has left, or a cursor at its place.', () => {
    const cursor = chain.cursor();
    remove('fedcba');
    for (const { newerOfAll, olderOfAll, stop } of Object.values(members)) {
      expect([newerOfAll, olderOfAll, stop]).toEqual([null, null, null]);
    }
    expect(JSON.stringify(cursor)).not.toContain('name');
  });
});
