// What the conformance suite uses of vitest, for a page: declares tests, and runs them one after the other.

import { JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from '@vitest/expect';
import * as chai from 'chai';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const expect = ((value: unknown, message?: string) =>
  chai.expect(value, message)) as unknown as typeof import('vitest').expect;
Object.assign(expect, chai.expect);
setState({ assertionCalls: 0 }, expect);

type Body = (...args: never[]) => unknown;

/** Thrown by a test that does not apply. */
const SKIPPED = new Error('skipped');

const context = {
  skip(): never {
    throw SKIPPED;
  },
};

interface Suite {
  readonly name: string;
  readonly parent: Suite | null;
  readonly before: Body[];
  readonly after: Body[];
}

const tests: { name: string; suite: Suite; run: Body }[] = [];
let suite: Suite = { name: '', parent: null, before: [], after: [] };

export function describe(name: string, body: () => void): void {
  const outer = suite;
  suite = { name: `${outer.name} ${name}`.trim(), parent: outer, before: [], after: [] };
  body();
  suite = outer;
}

export const beforeEach = (body: Body): void => void suite.before.push(body);
export const afterEach = (body: Body): void => void suite.after.push(body);

function declare(name: string, run: Body): void {
  tests.push({ name: `${suite.name} ${name}`, suite, run });
}

/** One test for each case: `each` spreads a case that is an array. */
const forCases =
  (isSpread: boolean) =>
  (cases: readonly unknown[]) =>
  (name: string, run: (...args: unknown[]) => unknown): void => {
    for (const one of cases) {
      const args = isSpread && Array.isArray(one) ? one : [one];
      declare(`${name} ${JSON.stringify(one)?.slice(0, 80)}`, () => run(...args));
    }
  };

export const it = Object.assign(declare, { for: forCases(false), each: forCases(true) });

const LONGEST_TEST_MS = 20_000;

const chain = (of: Suite | null): Suite[] => (of === null ? [] : [...chain(of.parent), of]);

/** Runs all tests; gives their number, and the failed ones with their errors. */
export async function runAll(): Promise<{ count: number; failed: string[] }> {
  const failed: string[] = [];
  for (const { name, run, suite } of tests) {
    const suites = chain(suite);
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for (const { before } of suites) for (const body of before) await body();
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('it takes too long')), LONGEST_TEST_MS);
      });
      await Promise.race([(run as (given: typeof context) => unknown)(context), late]);
    } catch (error) {
      if (error !== SKIPPED) failed.push(`${name}: ${(error as Error)?.stack ?? error}`);
    } finally {
      clearTimeout(timer);
      for (const { after } of suites.reverse()) for (const body of after) await body();
    }
  }
  return { count: tests.length, failed };
}
