import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  JsonStage,
  ScreenStage,
  type Stage,
  TranscriptStage,
  wrap,
} from '../../src/playlet/stage.ts';

function play(stage: Stage): void {
  stage.act('One');
  stage.aside('Something happens, of which much could be said if there were time.');
  stage.typed('Rosencrantz', "> await rosencrantz.bind('$.Actor.Ask.Guildenstern', true)");
  stage.typed('Audience', '> for (;;) {\n  listen()\n}');
  stage.printed('Guildenstern', 'MessageId(0, 1)');
  stage.printed('Falstaff', 'true');
}

function shown(columns: number, hasColours = false): string[] {
  const lines: string[] = [];
  play(new ScreenStage({ columns, hasColours, write: (text) => lines.push(text) }));
  return lines.join('').split('\n');
}

describe('the stage', () => {
  test('shows the terminals side by side on a wide screen', () => {
    const lines = shown(120);
    expect(lines.slice(1, 4)).toEqual([
      '=== One ===',
      'Terminal 1: Rosencrantz     │ Terminal 2: Audience        │ Terminal 3: Guildenstern    │ Terminal 4: Falstaff',
      '--------------------------- │ --------------------------- │ --------------------------- │ ---------------------------',
    ]);
    expect(lines.slice(7)).toEqual([
      '> await                     │                             │                             │',
      "  rosencrantz.bind('$.      │                             │                             │",
      "  Actor.Ask.Guildenstern',  │                             │                             │",
      '  true)                     │                             │                             │',
      '                            │ > for (;;) {                │                             │',
      '                            │   listen()                  │                             │',
      '                            │ }                           │                             │',
      '                            │                             │ MessageId(0, 1)             │',
      '                            │                             │                             │ true',
      '',
    ]);
  });

  test.each([120, 150, 211, 400])('never fills more than %i columns', (columns) => {
    for (const line of shown(columns)) expect(line.length).toBeLessThanOrEqual(columns);
  });

  test('shows each line with its actor’s name on a narrow screen', () => {
    expect(shown(60)).toEqual([
      '',
      '=== One ===',
      '',
      'Something happens, of which much could be said if there were',
      'time.',
      '',
      'Rosencrantz  > await',
      "Rosencrantz    rosencrantz.bind('$.Actor.Ask.Guildenstern',",
      'Rosencrantz    true)',
      'Audience     > for (;;) {',
      'Audience       listen()',
      'Audience     }',
      'Guildenstern MessageId(0, 1)',
      'Falstaff     true',
      '',
    ]);
  });

  test('does not wrap lines without a terminal', () => {
    const lines = shown(Number.POSITIVE_INFINITY);
    expect(lines).toContain(
      "Rosencrantz  > await rosencrantz.bind('$.Actor.Ask.Guildenstern', true)",
    );
  });

  test.each([60, 120])(
    'uses a colour per actor, at %i columns, and changes nothing else',
    (columns) => {
      const lines = shown(columns, true);
      const colours = ['36', '33', '32', '35'].map((code) => `\x1b[${code}m`);
      for (const colour of colours) expect(lines.join('')).toContain(colour);
      const plain = lines.map((line) => stripVTControlCharacters(line).trimEnd());
      expect(plain).toEqual(shown(columns));
    },
  );

  test('works on a screen with hardly any columns', () => {
    expect(shown(1).length).toBeGreaterThan(shown(60).length);
  });

  test('keeps the output of each terminal, for the transcript', () => {
    const stage = new TranscriptStage();
    play(stage);
    expect(stage.text).toBe(
      'Terminal 1: Rosencrantz\n\nTerminal 2: Audience\n\n' +
        'Terminal 3: Guildenstern\nMessageId(0, 1)\n\nTerminal 4: Falstaff\ntrue\n',
    );
  });

  test('writes JSON for programs', () => {
    const lines: string[] = [];
    play(new JsonStage((text) => lines.push(text)));
    expect(lines).toHaveLength(6);
    expect(lines.at(-1)).toBe('{"who":"Falstaff","printed":"true"}\n');
  });
});

describe('wrapping', () => {
  test.each([
    ['', 10, ['']],
    ['short', 10, ['short']],
    ['exactly 10', 10, ['exactly 10']],
    ['one two three', 8, ['one two', '  three']],
    ['  one two three', 8, ['  one', '    two', '    thre', '    e']],
    ['unbreakable', 6, ['unbrea', '  kabl', '  e']],
    ['a.b.c.d.e', 6, ['a.b.c.', '  d.e']],
    ['a\nb', 10, ['a', 'b']],
  ])('%j at %i', (text, width, lines) => {
    expect(wrap(text, width, 2)).toEqual(lines);
  });
});
