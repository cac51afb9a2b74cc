import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Binding as BindingOf } from '../../src/bus/binding-tree.ts';
import { type Party, Routes } from '../../src/bus/routes.ts';
import { HEAD_AT } from '../../src/message/codec/records.ts';
import { Announcement } from '../../src/message/message.ts';
import { matches, mostSpecificFirst, type NaiveBinding } from '../model/naive-bus.ts';
import { holds } from '../model/property.ts';
import { record } from '../support/frames.ts';

const NOBODY = { isOpen: true };

type Binding = BindingOf<Party>;

let order = 0;
const binding = (name: string, replier = false): Binding =>
  new BindingOf(NOBODY, name, replier, ++order);

const word = fc.constantFrom('A', 'B', 'AB', 'A_1', '-');
const words = fc.array(word, { minLength: 1, maxLength: 4 });
const name = words.map((all) => `$.${all.join('.')}`);
const part = fc.oneof({ weight: 3, arbitrary: word }, { weight: 1, arbitrary: fc.constant('%') });
const bindingName = fc
  .tuple(fc.array(part, { maxLength: 3 }), fc.constantFrom('A', 'B', '*', '%'))
  .map(([all, last]) => ['$', ...all, last].join('.'));

/** A step with the bindings, and then the recipients of a name. */
const step = fc.record({
  bind: fc.option(fc.record({ name: bindingName, replier: fc.boolean() })),
  unbind: fc.option(fc.nat(20)),
  ask: name,
});

function scan(
  bindings: readonly Binding[],
  asked: string,
): { replier: Binding | null; listeners: Binding[] } {
  const matching = bindings.filter(({ name }) => matches(name, asked)).reverse();
  const repliers = matching.filter(({ replier }) => replier) as unknown as NaiveBinding[];
  return {
    replier: (repliers.sort(mostSpecificFirst)[0] ?? null) as Binding | null,
    listeners: matching.filter(({ replier }) => !replier),
  };
}

interface PlaceOf {
  readonly children: ReadonlyMap<string, PlaceOf> | null;
}

function placesBelow({ children }: PlaceOf): number {
  let count = 0;
  for (const child of children?.values() ?? []) count += 1 + placesBelow(child);
  return count;
}

describe('routes', () => {
  it('find the recipients that a scan of all bindings finds, while bindings come and go', () => {
    holds(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const routes = new Routes();
        const bindings: Binding[] = [];
        let asked: string[] = [];
        for (const { bind, unbind, ask } of steps) {
          // One Replier per binding name is the bus's rule, not the index's.
          if (bind !== null && !(bind.replier && routes.replierOf(bind.name) !== null)) {
            const made = binding(bind.name, bind.replier);
            routes.add(made);
            bindings.push(made);
          }
          if (unbind !== null && bindings.length > 0) {
            const [gone] = bindings.splice(unbind % bindings.length, 1) as [Binding];
            routes.remove(gone);
          }
          // Also for names asked before: their cached routes must be dropped in time.
          asked = [ask, ...asked.slice(0, 4)];
          for (const each of asked) {
            const { replier, listeners } = routes.find(each);
            const expected = scan(bindings, each);
            const all =
              listeners.length === expected.listeners.length &&
              expected.listeners.every((listener, at) => listener === listeners[at]);
            if (replier !== expected.replier || !all) throw new Error(`wrong for ${each}`);
          }
          for (const { name, replier } of bindings) {
            if ((routes.replierOf(name) !== null) < replier)
              throw new Error(`no Replier of ${name}`);
          }
          const all = new Set(routes);
          if (all.size !== bindings.length || !bindings.every((each) => all.has(each))) {
            throw new Error('not all bindings, or more, are listed');
          }
        }
      }),
    );
  });

  it('give a Request to the most specific name, word by word from the left', () => {
    const routes = new Routes();
    const names = ['$.*', '$.%.*', '$.%.B.*', '$.A.*', '$.A.%.C', '$.A.B.*', '$.A.B.%', '$.A.B.C'];
    const bindings = names.map((each) => binding(each, true));
    // The most specific is not the newest.
    for (const each of [3, 1, 7, 4, 2, 0, 6, 5]) routes.add(bindings[each] as Binding);
    for (let left = names.length; left > 0; left--) {
      expect(routes.find('$.A.B.C').replier?.name).toBe(names[left - 1]);
      routes.remove(bindings[left - 1] as Binding);
    }
    expect(routes.find('$.A.B.C').replier).toBeNull();
  });

  it('match % with exactly one word, and no wildcard with its prefix', () => {
    const routes = new Routes();
    for (const each of ['$.A.*', '$.A.%', '$.%.B']) routes.add(binding(each));
    const heard = (asked: string): string[] => routes.find(asked).listeners.map(({ name }) => name);
    expect(heard('$.A')).toEqual([]);
    expect(heard('$.A.B').sort()).toEqual(['$.%.B', '$.A.%', '$.A.*']);
    expect(heard('$.A.B.C')).toEqual(['$.A.*']);
    expect(heard('$.AB.C')).toEqual([]);
    expect(heard('$.AB.B')).toEqual(['$.%.B']);
  });

  it('order listeners newest first, whatever names they bound', () => {
    const routes = new Routes();
    const bindings = ['$.A', '$.A', '$.*', '$.A', '$.%'].map((each) => binding(each));
    for (const each of bindings) routes.add(each);
    const [first, second, any, third, one] = bindings as [
      Binding,
      Binding,
      Binding,
      Binding,
      Binding,
    ];
    expect(routes.find('$.A').listeners).toEqual([one, third, any, second, first]);
    for (const each of [second, one, first, any]) routes.remove(each);
    expect(routes.find('$.A').listeners).toEqual([third]);
    const newest = binding('$.A');
    routes.add(newest);
    expect(routes.find('$.A').listeners).toEqual([newest, third]);
  });

  it('cache a route until a binding that may affect it changes', () => {
    const routes = new Routes();
    const [exact, other, wild] = [binding('$.A'), binding('$.B'), binding('$.A.*')] as const;
    const route = routes.find('$.A');
    const ofB = routes.find('$.B.C');
    routes.add(other);
    expect(routes.known('$.A')).toBe(route);
    routes.add(exact);
    expect(routes.known('$.A')).toBeUndefined();
    expect(routes.find('$.A').listeners).toEqual([exact]);
    routes.add(wild);
    expect(routes.known('$.A')).toBeUndefined();
    routes.find('$.A');
    routes.remove(wild);
    expect(routes.known('$.A')).toBeUndefined();
    expect(routes.known('$.B.C')).toBe(ofB);
    const anywhere = binding('$.%.C');
    routes.add(anywhere);
    expect(routes.known('$.B.C')).toBeUndefined();
    expect(routes.find('$.B.C').listeners).toEqual([anywhere]);
  });

  it('have at most two nodes for each binding name of any length, and none in the end', () => {
    const routes = new Routes();
    const { root } = routes as unknown as { root: PlaceOf };
    const long = ['$', ...new Array<string>(400).fill('A')];
    const bindings = [100, 200, 300, 400].flatMap((length) =>
      ['B', '%', '*'].map((last) => binding([...long.slice(0, length), last].join('.'))),
    );
    for (const each of bindings) routes.add(each);
    expect(placesBelow(root)).toBeLessThanOrEqual(2 * bindings.length);
    expect(routes.find([...long.slice(0, 300), 'B'].join('.')).listeners).toHaveLength(5);
    for (const each of bindings.splice(0, 6)) routes.remove(each);
    expect(placesBelow(root)).toBeLessThanOrEqual(2 * bindings.length);
    for (const each of bindings) routes.remove(each);
    expect(placesBelow(root)).toBe(0);
  });

  it('keep routes and lists only in as much memory as they may, and count that', () => {
    const memory = {
      room: 100_000,
      held: 0,
      hold(bytes: number): void {
        this.held += bytes;
      },
    };
    const routes = new Routes(memory);
    const all = binding('$.*');
    routes.add(all);
    const { lists } = routes as unknown as { lists: ReadonlyMap<string, unknown> };
    const steady = ['$.Steady.a', '$.Steady.b'] as const;
    for (let at = 0; at < 5000; at++) {
      const comes = binding(`$.Comes.n${at}`);
      routes.add(comes);
      expect(routes.find(comes.name).listeners).toEqual([comes, all]);
      routes.remove(comes);
      // Names with the same recipients share a list, whatever other bindings come and go.
      const [one, other] = steady.map((each) => routes.find(each).listeners);
      expect(one).toBe(other);
      expect(lists.size).toBeLessThan(200);
      expect(memory.held).toBeLessThan(25_000);
    }
    routes.remove(all);
    expect([lists.size, memory.held]).toEqual([0, 0]);
  });

  it('count each place that a search looks at as work, also if it does not match in the end', () => {
    const work = { done: 0 };
    const routes = new Routes(undefined, work);
    const count = 2 ** 10;
    for (let at = 0; at < count; at++) {
      const words = Array.from({ length: 10 }, (_, bit) => ((at >> bit) & 1 ? '%' : 'a'));
      routes.add(binding(`$.${words.join('.')}.z`));
    }
    const words = new Array(10).fill('a').join('.');
    work.done = 0;
    expect(routes.find(`$.${words}.n`).listeners).toEqual([]);
    expect(work.done).toBeGreaterThan(2 * count - 10);
    expect(work.done).toBeLessThan(3 * count);
    // Once it is known who gets a name, that costs nothing more.
    const { done } = work;
    routes.find(`$.${words}.n`);
    expect(work.done).toBe(done);
  });

  it('are forgotten all at once when a wildcard concerns very many, and find the new listener', () => {
    const routes = new Routes();
    const old = binding('$.Many.*');
    routes.add(old);
    const bytes = record(new Announcement('$.Many.n1'), 0, 1);
    for (let at = 0; at < 1000; at++) routes.find(`$.Many.n${at}`);
    const other = routes.find('$.Other');
    expect(routes.findIn(bytes, HEAD_AT)?.listeners).toEqual([old]);
    const fresh = binding('$.Many.%');
    routes.add(fresh);
    expect(routes.known('$.Other')).toBeUndefined();
    expect(routes.find('$.Other')).not.toBe(other);
    expect(routes.find('$.Many.n1').listeners).toEqual([fresh, old]);
    expect(routes.findIn(bytes, HEAD_AT)?.listeners).toEqual([fresh, old]);
  });

  it('find the Replier of exactly a binding name, without matching', () => {
    const routes = new Routes();
    const replier = binding('$.A.*', true);
    routes.add(replier);
    expect(routes.replierOf('$.A.*')).toBe(replier);
    expect(routes.replierOf('$.A.B')).toBeNull();
    expect(routes.replierOf('not a name')).toBeNull();
  });

  it('stay right, and of bounded size, for any number of names', () => {
    const routes = new Routes();
    const listener = binding('$.*');
    routes.add(listener);
    for (let number = 0; number < 70_000; number++) routes.find(`$.N${number}`);
    const { kept, keptNames } = routes as unknown as {
      kept: Map<string, unknown>;
      keptNames: Map<string, unknown>;
    };
    expect(kept.size).toBeLessThanOrEqual(65_536);
    expect(keptNames.size).toBeLessThanOrEqual(65_536);
    expect(routes.find('$.N1').listeners).toEqual([listener]);
    expect(routes.find('$.N69999').listeners).toEqual([listener]);
  });
});
