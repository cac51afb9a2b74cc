import { readFileSync } from 'node:fs';
import {
  type AddressInfo,
  createConnection,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import process from 'node:process';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ksock } from '../../../src/client/ksock.ts';
import { Announcement } from '../../../src/message/message.ts';
import { StatusError } from '../../../src/message/request-error.ts';
import type { WebOptions } from '../../../src/web/web-server.ts';
import { LOCAL_WEB, LocalDaemon } from '../../support/daemon.ts';
import { failed } from '../../support/refused.ts';
import { bundledSuite, launch, missing, Site } from './chromium.ts';

/** A page that replies for a name and never answers, and says what happens to its Ksock. */
const REPLIER = `<!doctype html><title>replier</title>
<script type="module">
  const { url, token, proxied } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const { Ksock } = await import(url + '/kbus.js');
  window.said = [];
  const ksock = await Ksock.open(0, {
    url: proxied ?? url,
    token,
    reconnect: { minDelay: 10 },
    onDisconnected: (error) => said.push('lost ' + error.code),
    onConnected: async () => {
      said.push('back ' + await ksock.findReplier('$.Page') + ' is ' + ksock.id);
    },
  });
  window.heard = 0;
  await ksock.listener('$.Flood', () => heard++);
  await ksock.replier('$.Page', () => new Promise(() => {}));
  await ksock.replier('$.Page.Answers', (request) => request.text() + '!');
  window.ksock = ksock;
  document.title = 'ready';
</script>`;

let browser: Browser;
let site: Site;
let context: BrowserContext;
let local: LocalDaemon;
/** A program in Node that waits for the page. */
let waiter: Ksock;

async function start(web: Partial<WebOptions> = {}): Promise<void> {
  local = await LocalDaemon.start({}, { web: { ...LOCAL_WEB, origins: [site.origin], ...web } });
  waiter = await local.open();
}

async function restart(web: Partial<WebOptions>): Promise<void> {
  await local.stop();
  await start(web);
}

async function open(address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

/** The page of a Replier, once it is ready. */
async function openReplier(proxied = ''): Promise<Page> {
  const { origin } = local.page();
  const more = proxied === '' ? '' : `&proxied=${proxied}`;
  const page = await open(`${site.origin}/replier#url=${origin}&token=${local.token()}${more}`);
  await page.waitForFunction(`document.title === 'ready'`);
  return page;
}

/** The Status of a Request to the page, which dies when it has it. */
async function statusOf(die: () => Promise<unknown>): Promise<string> {
  const answer = failed(waiter.request('$.Page', '', { timeout: 15_000 }));
  while ((await waiter.stats()).ksocks.every(({ unsentReplies }) => unsentReplies === 0));
  await die();
  const error = await answer;
  if (!(error instanceof StatusError)) throw error;
  return error.status.name;
}

/** Sends a signal to the processes that run pages. */
async function signalRenderers(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  for (const { id, type } of processInfo) if (type === 'renderer') process.kill(id, signal);
  await session.detach();
}

const GONE = /^\$\.KBUS\.Replier\.(Ignored|GoneAway)$/;

/** What the page has said so far, once it has said something that begins so. */
async function said(page: Page, begin: string): Promise<string[]> {
  await page.waitForFunction(`said.some((line) => line.startsWith('${begin}'))`);
  return page.evaluate('said');
}

const title = missing === null ? 'In Chromium' : `In Chromium (SKIPPED: ${missing})`;
describe.skipIf(missing !== null)(title, () => {
  beforeAll(async () => {
    browser = await launch();
    site = await Site.open();
    site.pages.set('/replier', REPLIER);
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    await start();
  });
  afterEach(async () => {
    await context.close();
    await local.stop();
  });

  it('the conformance suite holds in a page.', { timeout: 120_000 }, async () => {
    const daemons = new Map<string, LocalDaemon>();
    await context.exposeFunction('kbusStart', async (settings: object) => {
      const web = { ...LOCAL_WEB, origins: [site.origin] };
      const started = await LocalDaemon.start(settings, { web });
      const { origin } = started.page();
      daemons.set(origin, started);
      return { url: origin, token: started.token() };
    });
    await context.exposeFunction('kbusStop', (url: string) => daemons.get(url)?.stop());
    site.pages.set('/suite', '<!doctype html><script src="/suite.js"></script>');
    site.pages.set('/suite.js', await bundledSuite());
    const page = await open(`${site.origin}/suite`);
    const { count, failed } = await page.evaluate<{ count: number; failed: string[] }>('runAll()');
    expect(failed).toEqual([]);
    expect(count).toBeGreaterThan(350);
  });

  describe('a page that dies ends its Requests with a Status:', () => {
    it('its tab is closed.', async () => {
      const page = await openReplier();
      expect(await statusOf(() => page.close())).toMatch(GONE);
    });

    it('it is reloaded; then it is a new program.', async () => {
      const page = await openReplier();
      expect(await statusOf(() => page.reload())).toMatch(GONE);
      await page.waitForFunction(`document.title === 'ready'`);
      expect((await waiter.request('$.Page.Answers', 'again')).text()).toBe('again!');
    });

    it('its renderer is killed.', async () => {
      await openReplier();
      expect(await statusOf(() => signalRenderers('SIGKILL'))).toMatch(GONE);
    });
  });

  describe('a page that sleeps, because its renderer is stopped,', () => {
    it('ends its Requests with a Status after web-timeout, and comes back with its bindings.', async () => {
      await restart({ timeout: 1 });
      const page = await openReplier();
      expect(await statusOf(() => signalRenderers('SIGSTOP'))).toMatch(GONE);
      await signalRenderers('SIGCONT');
      const lines = await said(page, 'back');
      expect(lines[0]).toMatch(/^lost (ETIMEDOUT|ECONNRESET)$/);
      // When it says so, it replies for the name already.
      expect(lines.at(-1)).toMatch(/^back (\d+) is \1$/);
      expect((await waiter.request('$.Page.Answers', 'awake')).text()).toBe('awake!');
    });

    it('does not hold up the bus, and keeps no more than its queue.', async () => {
      const page = await openReplier();
      await signalRenderers('SIGSTOP');
      const data = new Uint8Array(20_000);
      for (let at = 0; at < 2000; at++) await waiter.sendMsg(new Announcement('$.Flood', data));
      const { ksocks } = await waiter.stats();
      const own = ksocks.find(({ ksock }) => ksock !== waiter.id);
      expect(own?.held).toBeLessThan(2000 * 20_200 + 2 * 1024 * 1024);
      await signalRenderers('SIGCONT');
      await page.waitForFunction('heard === 2000');
    });
  });

  /** Passes bytes on to the daemon, until it is cut: then neither side hears anything, or an end. */
  class Wire {
    /** The daemon's port. */
    to = 0;
    private readonly sockets: Socket[] = [];
    private readonly server: Server;

    constructor() {
      this.server = createServer((near) => {
        const far = createConnection(this.to, '127.0.0.1');
        for (const socket of [near, far]) socket.on('error', () => {});
        near.pipe(far).pipe(near);
        this.sockets.push(near, far);
      });
    }

    async listen(): Promise<number> {
      await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
      return (this.server.address() as AddressInfo).port;
    }

    cut(): void {
      for (const socket of this.sockets) {
        socket.unpipe();
        socket.pause();
      }
    }

    close(): void {
      this.server.close();
      for (const socket of this.sockets) socket.destroy();
    }
  }

  it('a page that loses its network is dead for the bus, knows it, and comes back with its bindings.', async () => {
    const wire = new Wire();
    const near = `http://127.0.0.1:${await wire.listen()}`;
    // The daemon must know the name by which the page calls it.
    await restart({ timeout: 1, origins: [site.origin, near] });
    wire.to = Number(local.page().port);
    await waiter.bind('$.Waiter', true);
    const page = await openReplier(near);
    await page.evaluate(`void ksock.request('$.Waiter').catch((e) => said.push(e.status.name))`);
    expect(await statusOf(async () => wire.cut())).toMatch(GONE);
    const lines = await said(page, 'back');
    expect(lines.slice(0, -1).sort()).toEqual(['$.KBUS.Bus.GoneAway', 'lost ECONNRESET']);
    expect(lines.at(-1)).toMatch(/^back (\d+) is \1$/);
    wire.close();
  });

  it('a page comes back after a restart of the daemon that keeps its tokens.', async () => {
    await restart({ keepTokens: true });
    const page = await openReplier();
    const { port } = local.page();
    const { directory } = local;
    await local.stop();
    local = await LocalDaemon.start(
      {},
      {
        directory,
        web: {
          ...LOCAL_WEB,
          listen: `127.0.0.1:${port}`,
          origins: [site.origin],
          keepTokens: true,
        },
      },
    );
    waiter = await local.open();
    const lines = await said(page, 'back');
    expect(lines.at(-1)).toMatch(/^back (\d+) is \1$/);
    expect((await waiter.request('$.Page.Answers', 'once more')).text()).toBe('once more!');
  });

  it('the first page of docs/browser.md hears what is sent.', async () => {
    const text = readFileSync(new URL('../../../docs/browser.md', import.meta.url), 'utf8');
    const html = /```html\n(.*?)```/s.exec(text)?.[1] ?? '';
    const { origin } = local.page();
    expect(html).toContain('http://127.0.0.1:8080');
    site.pages.set('/doors', html.replaceAll('http://127.0.0.1:8080', origin));
    const page = await open(`${site.origin}/doors#token=${local.token()}`);
    await page.waitForFunction(`document.title === 'Doors: listening'`);
    await waiter.sendMsg(new Announcement('$.Door.Front', 'open'));
    await page.waitForSelector('li');
    expect(await page.locator('li').allTextContents()).toEqual(['$.Door.Front: open']);
  });

  describe('the daemon’s own page', () => {
    const stateOf = (page: Page): Promise<string | null> => page.locator('#state').textContent();

    it('says that it is on the bus, takes the token out of the address, and survives a reload.', async () => {
      const page = await context.newPage();
      const wrong: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') wrong.push(message.text());
      });
      page.on('pageerror', (error) => wrong.push(error.message));
      await page.goto(local.page().href);
      await page.waitForSelector('[data-state="connected"]');
      expect(await stateOf(page)).toContain(`Connected to bus 0 of 127.0.0.1:${local.page().port}`);
      expect(page.url()).toBe(`${local.page().origin}/`);
      await page.reload();
      await page.waitForSelector('[data-state="connected"]');
      // Nothing that it needs is against its own policy.
      expect(wrong).toEqual([]);
      await local.daemon.stop('the test stops it');
      await page.waitForSelector('[data-state="lost"]');
    });

    it('says what to do without a token.', async () => {
      const page = await open(local.page().origin);
      await page.waitForSelector('[data-state="lost"]');
      expect(await stateOf(page)).toContain('EACCES');
      expect(await page.locator('#advice').textContent()).toContain('kbus web');
    });
  });

  it('a page of another site gets nothing, even if it knows the token.', async () => {
    const evil = await Site.open();
    evil.pages.set('/', '<!doctype html><title>evil</title>');
    const page = await open(evil.origin);
    const { origin } = local.page();
    const got = await page.evaluate(`(async () => {
      const url = '${origin}';
      const how = (promise, done) => promise.then(() => done, () => 'not ' + done);
      const socket = new WebSocket(url.replace('http', 'ws') + '/ws', 'kbus');
      const opened = new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = reject;
      });
      const frame = document.createElement('iframe');
      frame.src = url;
      const loaded = new Promise((resolve) => (frame.onload = resolve));
      document.body.append(frame);
      await loaded;
      return [
        await how(fetch(url + '/kbus.js'), 'fetched'),
        await how(import(url + '/kbus.js'), 'imported'),
        await how(opened, 'opened'),
        frame.contentDocument === null ? 'not framed' : 'framed',
      ];
    })()`);
    expect(got).toEqual(['not fetched', 'not imported', 'not opened', 'not framed']);
    expect(local.said.join('\n')).toContain(`pages of '${evil.origin}' are not admitted`);
    evil.close();
  });
});
