import { beforeEach, describe, expect, test } from 'vitest';
import { Terminal } from '../../src/playlet/terminal.ts';

describe('an actor’s terminal', () => {
  let printed: string[];
  let terminal: Terminal;

  beforeEach(() => {
    printed = [];
    terminal = new Terminal((text) => printed.push(text), { numbers: { one: 1, two: 2 } });
  });

  /** What a line prints. */
  async function typed(line: string): Promise<string[]> {
    printed.length = 0;
    await terminal.run(line);
    return printed;
  }

  test('prints the value of an expression as Node does, and keeps it as _', async () => {
    expect(await typed("({ a: 'b' })")).toEqual(["{ a: 'b' }"]);
    expect(await typed('console.log(_.a, 1)')).toEqual(['b 1']);
    expect(await typed('_.a')).toEqual(["'b'"]);
  });

  test('prints nothing for undefined', async () => {
    expect(await typed('undefined')).toEqual([]);
    expect(await typed('await null')).toEqual([]);
  });

  test('remembers declarations and assignments, and prints nothing for them', async () => {
    expect(await typed('const a = await Promise.resolve(20)')).toEqual([]);
    expect(await typed('let b = a + 1')).toEqual([]);
    expect(await typed('b = b * 2')).toEqual([]);
    expect(await typed('b')).toEqual(['42']);
  });

  test('imports from the given packages', async () => {
    expect(await typed("import { one, two } from 'numbers'")).toEqual([]);
    expect(await typed('one + two')).toEqual(['3']);
  });

  test('runs loops of several lines, which see and change variables', async () => {
    await typed('let sum = 0');
    expect(await typed('for (const n of [1, 2]) {\n  sum += n\n  console.log(await n)\n}')).toEqual(
      ['1', '2'],
    );
    expect(await typed('sum')).toEqual(['3']);
  });

  test('prints an error, and returns false', async () => {
    expect(await terminal.run("(() => { throw new TypeError('no') })()")).toBe(false);
    expect(await terminal.run('nobody')).toBe(false);
    expect(await terminal.run('1 +')).toBe(false);
    expect(printed.slice(0, 2)).toEqual(['TypeError: no', 'ReferenceError: nobody is not defined']);
    expect(printed[2]).toMatch(/^SyntaxError: /);
    expect(await terminal.run('1')).toBe(true);
  });

  test('ends waits for ctrlC() at an interrupt, and nothing else', async () => {
    const waits = `await new Promise((_, reject) => {
      const signal = ctrlC()
      signal.addEventListener('abort', () => reject(signal.reason))
      console.log('waiting')
    })`;
    for (let time = 1; time <= 2; time++) {
      const over = terminal.run(waits);
      terminal.interrupt();
      expect(await over).toBe(false);
      expect(printed.slice(-2)).toEqual(['waiting', 'KeyboardInterrupt']);
      expect(await typed('ctrlC().aborted')).toEqual(['false']);
    }
  });
});
