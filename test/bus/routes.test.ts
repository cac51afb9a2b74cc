import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BusKsock } from '../../src/bus/ksock.ts';
import { Binding, Routes } from '../../src/bus/routes.ts';
import { matches } from '../model/naive-bus.ts';
import { holds } from '../model/property.ts';

const NOBODY = {} as BusKsock;

let order = 0;
const binding = (name: string, replier = false): Binding =>
  new Binding(NOBODY, name, replier, ++order);

const word = fc.constantFrom('A', 'B', 'AB', 'A1');
const words = fc.array(word, { minLength: 1, maxLength: 4 });
const name = words.map((all) => `$.${all.join('.')}`);
const bindingName = fc
  .tuple(fc.array(word, { maxLength: 3 }), fc.constantFrom('A', 'B', '*', '%'))
  .map(([all, last]) => ['$', ...all, last].join('.'));

/** What is done to the bindings, and then who gets a name. */
const step = fc.record({
  bind: fc.option(fc.record({ name: bindingName, replier: fc.boolean() })),
  unbind: fc.option(fc.nat(20)),
  ask: name,
});

function scan(
  bindings: readonly Binding[],
  asked: string,
): { replier: Binding | null; listeners: Binding[] } {
  const matching = bindings.filter(({ name }) => matches(name, asked));
  const rank = ({ name }: Binding): number =>
    name.endsWith('*') ? 2000 - name.length : name.endsWith('%') ? 1 : 0;
  const repliers = matching.filter(({ replier }) => replier);
  repliers.sort((a, b) => rank(a) - rank(b));
  return {
    replier: repliers[0] ?? null,
    listeners: matching.filter(({ replier }) => !replier),
  };
}

describe('routes', () => {
  it('find who a scan of all bindings finds, while bindings come and go', () => {
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
          // Those that were asked before too: what was kept of them must be forgotten in time.
          asked = [ask, ...asked.slice(0, 4)];
          for (const each of asked) {
            const { replier, listeners } = routes.find(each);
            const expected = scan(bindings, each);
            const all =
              listeners.length === expected.listeners.length &&
              expected.listeners.every((listener) => listeners.includes(listener));
            if (replier !== expected.replier || !all) throw new Error(`wrong for ${each}`);
          }
          const all = new Set(routes);
          if (all.size !== bindings.length || !bindings.every((each) => all.has(each))) {
            throw new Error('not all bindings, or more, are listed');
          }
        }
      }),
    );
  });

  it('give a Request to the exact name, else to %, else to the longest *', () => {
    const routes = new Routes();
    const names = ['$.*', '$.A.*', '$.A.B.*', '$.A.B.%', '$.A.B.C'];
    const bindings = names.map((each) => binding(each, true));
    // The longest is not the newest.
    for (const each of [3, 1, 4, 2, 0]) routes.add(bindings[each] as Binding);
    for (let left = names.length; left > 0; left--) {
      expect(routes.find('$.A.B.C').replier?.name).toBe(names[left - 1]);
      routes.remove(bindings[left - 1] as Binding);
    }
    expect(routes.find('$.A.B.C').replier).toBeNull();
  });

  it('match no prefix itself, and % no deeper name', () => {
    const routes = new Routes();
    for (const each of ['$.A.*', '$.A.%']) routes.add(binding(each));
    const heard = (asked: string): string[] => routes.find(asked).listeners.map(({ name }) => name);
    expect(heard('$.A')).toEqual([]);
    expect(heard('$.A.B').sort()).toEqual(['$.A.%', '$.A.*']);
    expect(heard('$.A.B.C')).toEqual(['$.A.*']);
    expect(heard('$.AB.C')).toEqual([]);
  });

  it('serve the listeners of one name in the order in which they bound', () => {
    const routes = new Routes();
    const bindings = [1, 2, 3, 4].map(() => binding('$.A'));
    for (const each of bindings) routes.add(each);
    expect(routes.find('$.A').listeners).toEqual(bindings);
    routes.remove(bindings[1] as Binding);
    routes.remove(bindings[3] as Binding);
    routes.remove(bindings[0] as Binding);
    expect(routes.find('$.A').listeners).toEqual([bindings[2]]);
    routes.add(bindings[0] as Binding);
    expect(routes.find('$.A').listeners).toEqual([bindings[2], bindings[0]]);
  });

  it('know a route until a binding that may touch it changes', () => {
    const routes = new Routes();
    const [exact, other, wild] = [binding('$.A'), binding('$.B'), binding('$.A.*')] as const;
    const route = routes.find('$.A');
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
  });

  it('find the Replier of exactly a binding name, without matching', () => {
    const routes = new Routes();
    const replier = binding('$.A.*', true);
    routes.add(replier);
    expect(routes.replierOf('$.A.*')).toBe(replier);
    expect(routes.replierOf('$.A.B')).toBeNull();
    expect(routes.replierOf('not a name')).toBeNull();
  });

  it('stay right, and bounded, however many names are asked for', () => {
    const routes = new Routes();
    const listener = binding('$.*');
    routes.add(listener);
    for (let number = 0; number < 70_000; number++) routes.find(`$.N${number}`);
    const { kept } = routes as unknown as { kept: Map<string, unknown> };
    expect(kept.size).toBeLessThanOrEqual(65_536);
    expect(routes.find('$.N1').listeners).toEqual([listener]);
    expect(routes.find('$.N69999').listeners).toEqual([listener]);
  });
});
