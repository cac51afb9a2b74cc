// Builds the site: README, docs/, and the reference made from the docstrings, as static pages in site/dist. Its tools have
// a package.json of their own, in site/, so that nobody else installs them.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('../site', import.meta.url)));

/** @param {string} file @param {string[]} args */
function run(file, ...args) {
  const { status, error } = spawnSync(file, args, { stdio: 'inherit' });
  if (status === 0) return;
  console.error(`kbus: the site was not built: ${error?.message ?? `${args.join(' ')} failed`}`);
  process.exit(1);
}

const lock = 'node_modules/.package-lock.json';
if (!existsSync(lock) || statSync(lock).mtimeMs < statSync('package-lock.json').mtimeMs)
  run('npm', 'ci', '--no-fund', '--no-audit', '--ignore-scripts', '--loglevel=error');

/** What programs import. @param {string} file */
const entryOf = (file) => (file === 'index' ? 'kbus' : `kbus/${file.replace('-', '/')}`);

rmSync('.pages', { recursive: true, force: true });
rmSync('dist', { recursive: true, force: true });
mkdirSync('.pages');
for (const name of readdirSync('..').filter((one) => one.endsWith('.md')))
  cpSync(`../${name}`, `.pages/${name}`);
cpSync('../docs', '.pages/docs', { recursive: true });
for (const name of readdirSync('.pages', { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.md')) continue;
  const path = `.pages/${name}`;
  const text = readFileSync(path, 'utf8')
    // VitePress takes these for its own templates.
    .replaceAll('{{', '&#123;&#123;')
    // What stands between < and > outside of code is meant as text.
    .replace(/(^```.*?^```|(`+)(?!`).*?(?<!`)\2(?!`))|<(?=\w)/gms, (_, code) => code ?? '&lt;')
    // The first page of a folder is README.md in a repository, and index.md in a site.
    .replace(/(\]\([^)\s]*\b)README\.md/g, '$1index.md');
  rmSync(path);
  writeFileSync(path.replace(/README\.md$/, 'index.md'), text);
}
run(process.execPath, 'node_modules/typedoc/bin/typedoc');
// TypeDoc calls the entries by the names of their files.
for (const name of readdirSync('.pages/api', { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.md')) continue;
  const text = readFileSync(`.pages/api/${name}`, 'utf8');
  const named = text
    .replace(
      /^# (index|daemon|limpet|limpet-nats|browser|browser-observe)$/m,
      (_, one) => `# ${entryOf(one)}`,
    )
    .replace(/(?<=\[)(index|daemon|limpet|limpet-nats|browser|browser-observe)(?=\]\()/g, entryOf);
  writeFileSync(`.pages/api/${name}`, named);
}
run(process.execPath, 'node_modules/vitepress/bin/vitepress.js', 'build', '.');
console.log('kbus: the site is in site/dist');
