import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitepress';

const pages = new URL('../.pages/', import.meta.url).pathname;

/** The first heading of a page. @param {string} path */
const titleOf = (path) =>
  /^# (.*)$/m.exec(readFileSync(`${pages}${path}`, 'utf8'))?.[1]?.replaceAll('`', '') ?? path;

/** The pages of a folder. @param {string} folder */
const listOf = (folder) => {
  try {
    return readdirSync(`${pages}${folder}`)
      .filter((name) => name.endsWith('.md'))
      .sort((a, b) => Number(b === 'index.md') - Number(a === 'index.md') || (a < b ? -1 : 1))
      .map((name) => ({
        text: titleOf(`${folder}/${name}`),
        link: `/${folder}/${name.replace(/\.md$/, '')}`,
      }));
  } catch {
    return [];
  }
};

const guide = listOf('docs/guide');
const entries = [
  ['kbus', 'index'],
  ['kbus/daemon', 'daemon'],
  ['kbus/limpet', 'limpet'],
  ['kbus/limpet/nats', 'limpet-nats'],
  ['kbus/browser', 'browser'],
  ['kbus/browser/observe', 'browser-observe'],
].map(([text, folder]) => ({ text, link: `/api/${folder}/` }));

export default defineConfig({
  title: 'KBUS',
  description: 'A simple, predictable message bus for the programs on one machine',
  srcDir: '.pages',
  outDir: 'dist',
  // Links to the source and the examples, which the site has not.
  ignoreDeadLinks: [/(^|\/)(src|test|examples|systemd|bench|scripts|chaos|soak)\//, /\/LICENSE$/],
  markdown: { attrs: { disable: true }, languageAlias: { session: 'console' } },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Docs', link: '/' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: [
      { text: 'KBUS', items: [{ text: 'Introduction', link: '/' }] },
      ...(guide.length > 0 ? [{ text: 'Guide', items: guide }] : []),
      { text: 'API', items: [{ text: 'All entries', link: '/api/' }, ...entries] },
      { text: 'Pages', items: listOf('docs') },
      { text: 'Specification', collapsed: true, items: listOf('docs/spec') },
    ],
  },
});
