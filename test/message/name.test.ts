import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkBindingName,
  checkMessageName,
  covers,
  faultOfName,
  isMoreSpecific,
  isWildcard,
  matches,
} from '../../src/message/name.ts';
import {
  isBindable,
  isSendable,
  matches as matchesByWords,
  mostSpecificFirst,
  type NaiveBinding,
} from '../model/naive-bus.ts';
import { holds } from '../model/property.ts';

const word = fc.constantFrom('A', 'B', 'a-b_c', '9');
const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((all) => `$.${all.join('.')}`);
const bindingName = fc
  .tuple(
    fc.array(fc.oneof(word, fc.constant('%')), { maxLength: 3 }),
    fc.constantFrom('A', '%', '*'),
  )
  .map(([all, last]) => ['$', ...all, last].join('.'));

/** Text that resembles a name. */
const nearly = fc
  .array(fc.constantFrom('$', '.', '.', 'A', 'b', '_', '-', '%', '*', ' ', 'é', '\n'), {
    maxLength: 8,
  })
  .map((all) => `${all.join('')}`);

describe('names', () => {
  it('match word by word', () => {
    holds(
      fc.property(bindingName, name, (binding, sent) => {
        expect(matches(binding, sent)).toBe(matchesByWords(binding, sent));
      }),
    );
  });

  it('of a wildcard are covered by wildcards if each name that it matches is matched by one of them', () => {
    // A word that no binding name has stands for all others, and more words than any has for longer names.
    const words = ['A', 'B', 'a-b_c', '9', 'other'];
    const names = [0, 1, 2, 3, 4].reduce<string[][]>(
      (all) => [...all, (all.at(-1) ?? ['$']).flatMap((one) => words.map((w) => `${one}.${w}`))],
      [],
    );
    const all = names.flat();
    let covered = 0;
    holds(
      fc.property(fc.array(bindingName, { maxLength: 6 }), bindingName, (by, binding) => {
        const isCovered = all.every(
          (one) => !matchesByWords(binding, one) || by.some((other) => matchesByWords(other, one)),
        );
        if (isCovered) covered++;
        expect(covers(by, binding)).toBe(isCovered);
      }),
      300,
    );
    expect(covered).toBeGreaterThan(0);
  });

  it.each([
    [['$.Public.*'], '$.Public.Door', true],
    [['$.Public.*'], '$.Public.*', true],
    [['$.Public.*'], '$.Public.%', true],
    [['$.Public.*'], '$.Public.%.Open', true],
    [['$.Public.*'], '$.Public', false],
    [['$.Public.*'], '$.*', false],
    [['$.Public.*'], '$.%.Door', false],
    [['$.Public.%'], '$.Public.*', false],
    [['$.Public.%', '$.Public.%.*'], '$.Public.*', true],
    [['$.Public.%.*', '$.Public.A'], '$.Public.*', false],
    [['$.%'], '$.*', false],
    [['$.*'], '$.*', true],
    [['$.A', '$.B'], '$.%', false],
    [[], '$.A', false],
  ] as const)('%j cover %s: %s', (by, binding, is) => {
    expect(covers(by, binding)).toBe(is);
  });

  it('are compared by specificity word by word, from the left', () => {
    holds(
      fc.property(bindingName, bindingName, name, (one, other, sent) => {
        fc.pre(one !== other && matches(one, sent) && matches(other, sent));
        const order = mostSpecificFirst(
          { name: one } as NaiveBinding,
          { name: other } as NaiveBinding,
        );
        expect(isMoreSpecific(one, other)).toBe(order < 0);
      }),
    );
  });

  it('are well formed as in spec 1 §2.1, or have a fault', () => {
    holds(
      fc.property(
        fc.oneof(
          nearly,
          nearly.map((text) => `$.${text}`),
        ),
        (text) => {
          expect(checkMessageName(text) === 0).toBe(isSendable(text));
          expect(checkBindingName(text) === 0).toBe(isBindable(text));
          expect(faultOfName(text, 'message') === undefined).toBe(isSendable(text));
          expect(faultOfName(text, 'binding') === undefined).toBe(isBindable(text));
        },
      ),
    );
  });

  it('are wildcards if they have one anywhere', () => {
    expect(['$.A', '$.A_-', '$.*', '$.A.%', '$.%.A'].map(isWildcard)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  it.for([
    ['', 'it is empty', 'it is empty'],
    ['A.B', "it does not begin with '$.'", "it does not begin with '$.'"],
    ['$', "it does not begin with '$.'", "it does not begin with '$.'"],
    ['$.', "it ends with '.', with no word behind it", undefined],
    ['$.A.', "it ends with '.', with no word behind it", undefined],
    ['$..A', "character 3, '.', follows a '.', with no word between them", undefined],
    ['$.Room 2', "character 7, ' ', is not an ASCII letter, a digit, '_' or '-'", undefined],
    ['$.Caf\u00e9', "character 6, 'é', is not an ASCII letter, a digit, '_' or '-'", undefined],
    ['$.A.\u{1f600}', "character 5, '😀', is not an ASCII letter, a digit, '_' or '-'", undefined],
    ['$.A\n', "character 4, U+000A, is not an ASCII letter, a digit, '_' or '-'", undefined],
    ['$.A\u202e', "character 4, U+202E, is not an ASCII letter, a digit, '_' or '-'", undefined],
    [
      '$.*.A',
      "character 3, '*', is a wildcard, which can be bound but not sent",
      "character 3, '*', may only stand at the end",
    ],
    [
      '$.A*',
      "character 4, '*', is a wildcard, which can be bound but not sent",
      "character 4, '*', may only stand as a word of its own",
    ],
    [
      '$.A.%B',
      "character 5, '%', is a wildcard, which can be bound but not sent",
      "character 5, '%', may only stand as a word of its own",
    ],
    [`$.${'A'.repeat(999)}`, 'it has 1001 characters, and may have 1000', undefined],
  ] as const)('%j: %s.', ([text, ofMessage, ofBinding]) => {
    expect(faultOfName(text, 'message')).toBe(ofMessage);
    expect(faultOfName(text, 'binding')).toBe(ofBinding ?? ofMessage);
  });

  it('with a wildcard are wrong for messages only', () => {
    for (const wildcard of ['$.*', '$.%', '$.A.%.B.*']) {
      expect(faultOfName(wildcard, 'binding')).toBeUndefined();
      expect(faultOfName(wildcard, 'message')).toMatch(/is a wildcard/);
    }
  });
});
