// The client for pages: `kbus/browser` of the package, and /kbus.js of the daemon. It must be small. Beside what a minifier
// does, smaller modules take the place of some, numbers take the place of the names of the protocol's tables, and members that
// nobody but the client itself can name get short names.
import { readdirSync, readFileSync } from 'node:fs';
import { rolldown } from 'rolldown';
import { parseAst } from 'rolldown/parseAst';

/** @import { OutputOptions, Plugin } from 'rolldown' */

/** A module that few pages need: a file of its own, which loads when it is needed. */
const REPORTS = 'client/report-pieces.ts';
const REPORTS_FILE = 'kbus-reports.js';

/**
 * Makes the files. `dist` is the folder of the compiled sources, with their declarations in types/.
 *
 * @param {string} dist
 * @returns {Promise<{ 'kbus.js': string, [REPORTS_FILE]: string }>} their texts
 */
export async function bundlePageClient(dist) {
  const plugins = [smallerModules, await numbersOfTables(dist)];
  const make = await bundler('src/client/browser.ts', plugins);
  const makeReports = await bundler(`src/${REPORTS}`, []);
  const reports = await makeReports({ minify: true });
  const inner = innerNames((await make({})).code, dist, reports.exports);
  const include = new RegExp(`^(?:${inner.join('|')})$`);
  const client = await make({ minify: { mangleProps: { include } } });
  return { 'kbus.js': client.code, [REPORTS_FILE]: reports.code };
}

/** @param {string} input @param {Plugin[]} plugins */
async function bundler(input, plugins) {
  const made = await rolldown({
    input,
    platform: 'browser',
    plugins,
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
    onLog: (_level, { message }) => {
      throw new Error(message);
    },
  });
  return async (/** @type {OutputOptions} */ options) => {
    const { output } = await made.generate({ format: 'esm', comments: false, ...options });
    if (output.length > 1) throw new Error(`${input} must become one file`);
    return output[0];
  };
}

/** What a page has in place of some modules: texts, and files. */
const SMALLER = {
  // The daemon sends them to pages.
  'message/more-meanings.ts': 'export const MORE_MEANINGS = {};',
  // Errors then name all options.
  'base/nearest.ts': 'export const nearest = () => undefined;',
  // Only the console of Node asks for it.
  'message/inspect.ts': 'export const inspectMessage = () => "";',
  // No terminal prints what the console of a page shows.
  'base/report-thrown.ts':
    'export const reportThrown = (what, error) => console.error(what, error);',
  'base/number-map.ts': readFileSync('src/base/small-number-map.ts', 'utf8'),
  // The daemon makes a number of the letters itself.
  'message/codec/name-hash.ts': 'export const hashOf = () => 0;',
  // Few pages hear many messages of other buses.
  'message/codec/foreign-heads.ts': 'export class ForeignHeads { find() {} keep() {} }',
  'message/codec/by-number.ts': readFileSync('src/message/codec/small-by-number.ts', 'utf8'),
  'message/codec/name-reader.ts': readFileSync('src/message/codec/small-name-reader.ts', 'utf8'),
};

/** @type {Plugin} */
const smallerModules = {
  name: 'smaller modules',
  resolveId: (id) =>
    id.endsWith('/report-pieces.ts') && id.startsWith('./')
      ? { id: `./${REPORTS_FILE}`, external: true }
      : null,
  load(id) {
    const path = id.split('/src/')[1] ?? '';
    if (!Object.hasOwn(SMALLER, path)) return null;
    return { code: SMALLER[/** @type {keyof typeof SMALLER} */ (path)], moduleType: 'ts' };
  },
};

/** The modules with tables of numbers, such as `Errno`. */
const TABLES = [
  'message/calls',
  'message/errno',
  'message/flags',
  'message/codec/device',
  'message/codec/records',
  'wire/protocol',
];

/** Puts `22` in place of `Errno.EINVAL`. @param {string} dist @returns {Promise<Plugin>} */
async function numbersOfTables(dist) {
  /** @type {Record<string, Record<string, unknown>>} */
  const tables = {};
  for (const module of TABLES) {
    const exported = await import(new URL(`../${dist}/${module}.js`, import.meta.url).href);
    for (const [name, value] of Object.entries(exported)) {
      const numbers = typeof value === 'object' && !ArrayBuffer.isView(value) ? value : {};
      if (Object.values(numbers).every((one) => typeof one === 'number')) tables[name] = numbers;
    }
  }
  const member = new RegExp(`\\b(${Object.keys(tables).join('|')})\\.(\\w+)\\b`, 'g');
  return {
    name: 'numbers of tables',
    transform: (code) =>
      code.replace(member, (text, table, name) => String(tables[table]?.[name] ?? text)),
  };
}

/**
 * The names of members that are the client's alone: it declares them, no text has them, and neither its public declarations
 * nor those of the platform do, nor is one of `names`.
 *
 * @param {string} code @param {string} dist @param {string[]} names
 */
function innerNames(code, dist, names) {
  const [own, texts] = [new Set(), new Set()];
  /** @param {any} node */
  const look = (node) => {
    if (typeof node !== 'object' || node === null) return;
    const { type, key, computed, value, left } = node;
    if (type === 'Literal' && typeof value === 'string') texts.add(value);
    if (MEMBERS.has(type) && !computed && key.type === 'Identifier') own.add(key.name);
    if (type === 'AssignmentExpression' && left.object?.type === 'ThisExpression' && !left.computed)
      own.add(left.property.name);
    Object.values(node).forEach(look);
  };
  look(parseAst(code));
  const libraries = 'node_modules/typescript-5.6/lib';
  const declared = readdirSync(libraries)
    .filter((name) => /^lib\.(es|decorators).*d\.ts$/.test(name))
    .map((name) => `${libraries}/${name}`)
    .concat(`${dist}/types/browser.d.ts`, `${dist}/types/shared.d.ts`)
    .map((path) => readFileSync(path, 'utf8'));
  const dom = readFileSync(`${libraries}/lib.dom.d.ts`, 'utf8');
  for (const name of PLATFORM) {
    const found = new RegExp(`^interface ${name}\\b[\\s\\S]*?^}`, 'm').exec(dom);
    if (found === null) throw new Error(`the platform has no ${name}`);
    declared.push(found[0]);
  }
  const others = new Set([...PAGE_GLOBALS, ...names]);
  for (const text of declared) {
    const plain = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replace(/^\s*private .*$/gm, '');
    for (const [name] of plain.matchAll(/[A-Za-z_$][\w$]*/g)) others.add(name);
  }
  return [...own].filter((name) => !others.has(name) && !texts.has(name));
}

/** What the client uses of browsers. Whoever uses more adds it here. */
const PLATFORM = [
  ...['AbortController', 'AbortSignal', 'AddEventListenerOptions', 'CloseEvent', 'Console'],
  ...['Event', 'EventTarget', 'MessageChannel', 'MessageEvent', 'MessagePort', 'Performance'],
  ...['TextDecodeOptions', 'TextDecoder', 'TextDecoderCommon', 'TextDecoderOptions'],
  ...['TextEncoder', 'URL', 'WebSocket'],
];
const PAGE_GLOBALS = ['document', 'title', 'location', 'origin', 'ref', 'unref'];

const MEMBERS = new Set(['Property', 'MethodDefinition', 'PropertyDefinition']);
