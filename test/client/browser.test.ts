import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { gzipSync } from 'node:zlib';
import { type OutputChunk, rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A bundle for a browser, which is one script: `name` becomes a global variable. */
async function bundle(entry: string, minify = false): Promise<OutputChunk> {
  const made = await rolldown({
    input: `${root}${entry}`,
    platform: 'browser',
    // The bundle shows imports that it could not resolve.
    logLevel: 'silent',
  });
  const { output } = await made.generate({
    format: 'iife',
    name: 'program',
    codeSplitting: false,
    minify,
    comments: !minify,
  });
  await made.close();
  expect(output).toHaveLength(1);
  return output[0];
}

/** Globals that browsers don't have. */
const NODE_GLOBALS = new Set(['Buffer', 'process', 'require', 'global', 'setImmediate']);

/** The modules and globals of Node that a bundle needs. */
function needsOfNode({ code, dynamicImports, fileName, imports }: OutputChunk): string[] {
  // What is loaded late is in the same file.
  const found = new Set([...imports, ...dynamicImports.filter((name) => name !== fileName)]);
  const look = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, name, value } = node as { type?: string; name?: string; value?: unknown };
    if (type === 'Identifier' && NODE_GLOBALS.has(name as string)) found.add(name as string);
    if (type === 'Literal' && typeof value === 'string' && value.startsWith('node:')) {
      found.add(value);
    }
    Object.values(node).forEach(look);
  };
  look(parseAst(code));
  return [...found].sort();
}

/** The folders of src/ whose modules are in a bundle. */
const roomsOf = ({ moduleIds }: OutputChunk): string[] =>
  [
    ...new Set(
      moduleIds
        // The bundler's own.
        .filter((id) => !id.startsWith('\0'))
        .map((id) => /\/src\/(\w+)\//.exec(id)?.[1] ?? 'test'),
    ),
  ].sort();

describe('A bundle for a browser', () => {
  it('has the client, and no modules of Node or of a bus.', async () => {
    const program = await bundle('src/client/browser.ts');
    expect(needsOfNode(program)).toEqual([]);
    const rooms = ['base', 'client', 'message', 'transport', 'wire'];
    expect(roomsOf(program)).toEqual(rooms);
    const tap = await bundle('src/client/browser-observe.ts');
    expect(needsOfNode(tap)).toEqual([]);
    expect(roomsOf(tap)).toEqual([...rooms, 'tap'].sort());
  });

  it('opens a Ksock without Node, and sends and receives a message.', async () => {
    const program = await bundle('test/client/browser/program.ts');
    expect(needsOfNode(program)).toEqual([]);
    const { AbortController, TextDecoder, TextEncoder, performance } = globalThis;
    const browser = vm.createContext({
      AbortController,
      TextDecoder,
      TextEncoder,
      clearTimeout,
      console,
      performance,
      queueMicrotask,
      setTimeout,
    });
    const saw: unknown = await vm.runInContext(`${program.code}\nprogram.run()`, browser);
    expect(saw).toEqual([
      'Ksock device 0, id 7, mode read/write',
      'sent [0:1]',
      'heard [0:1] grüezi',
      'EBADF',
    ]);
  });

  it('has no client, wire or bus if a program imports messages only.', async () => {
    const messages = await bundle('src/message/index.ts');
    expect(needsOfNode(messages)).toEqual([]);
    expect(roomsOf(messages)).toEqual(['base', 'message']);
  });

  it('has at most 30 KiB, minified and gzipped.', async () => {
    expect(needsOfNode(await bundle('dist/page/kbus.js'))).toEqual([]);
    const code = readFileSync(`${root}dist/page/kbus.js`);
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(30 * 1024);
  });

  it('shows that the Ksock of Node needs Node: the check works.', async () => {
    const needs = needsOfNode(await bundle('src/client/ksock.ts'));
    expect(needs).toEqual(expect.arrayContaining(['Buffer', 'node:net', 'node:process']));
  });
});
