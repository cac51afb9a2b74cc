import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Limpet } from '../../../src/limpet/limpet.ts';
import { Announcement } from '../../../src/message/message.ts';
import { RecordingServer } from '../../../src/web/recording-server.ts';
import { Program } from '../../bus/program.ts';
import { kbus } from '../../cli/kbus.ts';
import { record } from '../../recording/recorded.ts';
import { LOCAL_WEB, LocalDaemon } from '../../support/daemon.ts';
import { newFolder } from '../../support/folder.ts';
import { failed } from '../../support/refused.ts';
import { launch, missing } from './chromium.ts';

let browser: Browser;
let context: BrowserContext;
let local: LocalDaemon;
/** What the page complained of. */
let wrong: string[];

async function open(fragment = ''): Promise<Page> {
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(String(error.stack)));
  await page.goto(`${local.page().href}${fragment}`);
  await page.waitForSelector('[data-state="connected"]');
  return page;
}

/** The text of the first element, once it has this in it. */
async function textWith(page: Page, selector: string, text: string): Promise<string> {
  const found = page.locator(selector).filter({ hasText: text }).first();
  await found.waitFor();
  return (await found.innerText()).replace(/\s+/g, ' ');
}

const title = missing === null ? 'The inspector' : `The inspector (SKIPPED: ${missing})`;
describe.skipIf(missing !== null)(title, () => {
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    wrong = [];
    context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
    context.setDefaultTimeout(10_000);
    local = await LocalDaemon.start({}, { buses: 2, web: LOCAL_WEB });
  });
  afterEach(async () => {
    await context.close();
    await local.stop();
    // Nothing that the page needs is against its own policy.
    expect(wrong.filter((text) => !text.includes('WebSocket'))).toEqual([]);
  });

  it('names the slow reader, and shows each queue as stats does', async () => {
    const slow = await local.open({ name: 'slow reader' });
    await slow.setMaxMessages(5);
    await slow.bind('$.Flood');
    const sender = await local.open({ name: 'sender' });
    const page = await open();
    for (let at = 0; at < 8; at++) await sender.sendMsg(new Announcement('$.Flood', 'x'));
    expect(await textWith(page, '#verdict', 'is full')).toContain(
      `The queue of Ksock ${slow.id} (slow reader, pid ${process.pid}) is full, 5 of 5`,
    );
    const row = await textWith(page, `tr[data-ksock="${slow.id}"]`, '5 of 5');
    const { ksocks } = await sender.stats();
    const stats = ksocks.find(({ ksock }) => ksock === slow.id);
    expect(stats).toMatchObject({ queue: 5, missed: 3 });
    expect(row).toMatch(/^slow reader .* 5 of 5 .* 3/);
    expect(await page.locator('tbody tr').count()).toBe(ksocks.length);
  });

  it('shows the messages that a listener reads, and one of them whole', async () => {
    const page = await open('&view=messages');
    const heater = await local.open({ name: 'heater' });
    await heater.replier('$.Heater.Set', () => '{"was": {"degrees": 20}}');
    const panel = await local.open({ name: 'panel' });
    await panel.sendMsg(new Announcement('$.Panel.Ready'));
    const reply = await panel.request('$.Heater.Set', '21');
    const request = await textWith(page, '.list tr', 'answered after');
    expect(request).toMatch(/Request \$\.Heater\.Set panel heater 21 answered after/);
    await page.locator('.list tr', { hasText: 'Reply' }).click();
    const whole = await textWith(page, '.detail', 'in_reply_to');
    expect(whole).toContain(`Reply $.Heater.Set`);
    expect(whole).toContain(`from heater (Ksock ${heater.id}, pid ${process.pid})`);
    expect(whole).toContain(`in_reply_to ${reply.inReplyTo}`);
    expect(whole).toContain(`degrees: 20`);
    await page.getByRole('button', { name: 'Hex' }).click();
    expect(await textWith(page, '.detail pre', '000000')).toContain('7b 22 77 61 73 22');
    await page.getByRole('button', { name: 'All that answers this' }).click();
    expect(await textWith(page, '#counts', 'of')).toBe('2 of 3 messages');
    expect(decodeURIComponent(page.url())).toContain(`text=${reply.inReplyTo}`);
  });

  it('filters messages while the user types, and the address has the filter', async () => {
    const page = await open('&view=messages');
    const sender = await local.open({ name: 'sender' });
    for (let at = 0; at < 30; at++) {
      await sender.sendMsg(new Announcement(`$.Room.${at % 3}.Temp`, String(at)));
    }
    await textWith(page, '#counts', '30 messages');
    await page.locator('#filter').fill('$.Room.1.*');
    await textWith(page, '#counts', '10 of 30');
    const other = await context.newPage();
    await other.goto(page.url());
    expect(await other.locator('#filter').inputValue()).toBe('$.Room.1.*');
    await page.locator('#filter').fill('data:7');
    await textWith(page, '#counts', '3 of 30');
  });

  it('draws a sequence that stands still while it is paused', async () => {
    const page = await open('&view=sequence');
    const sender = await local.open({ name: 'sender' });
    await sender.sendMsg(new Announcement('$.A', 'x'));
    await page.getByRole('button', { name: 'Pause' }).click();
    for (let at = 0; at < 5; at++) await sender.sendMsg(new Announcement('$.A', 'x'));
    await textWith(page, '#counts', 'paused: 5 came since');
    await page.locator('canvas').press('End');
    await page.locator('#counts:empty').waitFor({ state: 'attached' });
  });

  it('scrolls back to the time of its slider, as far as the history goes', async () => {
    const sender = await local.open({ name: 'sender' });
    const page = await open('&view=sequence');
    for (let at = 0; at < 8000; at++) sender.post(new Announcement(`$.A.${at}`, 'x'));
    await sender.flush();
    await textWith(page, '#counts', 'lines went by');
    const slider = page.getByLabel('Time of the chart');
    await slider.press('Home');
    await textWith(page, '#pause', 'Go on');
    // What is drawn first can be asked for by the keyboard.
    await page.locator('canvas').press('Home');
    await page.locator('canvas').press('ArrowUp');
    for (let at = 0; at < 40; at++) await page.locator('canvas').press('ArrowUp');
    await page.locator('canvas').press('Enter');
    expect(await textWith(page, '.detail', '$.A.0')).toContain('Announcement $.A.0');
    await page.locator('canvas').press('End');
    await page.locator('#counts', { hasNotText: 'paused' }).waitFor();
  });

  it('offers the buses that there are, and shows the one chosen', async () => {
    const there = await local.open({ name: 'on bus 1' }, 1);
    const page = await open();
    const choice = page.getByLabel('Bus');
    await choice.focus();
    await page.locator('header option').nth(1).waitFor({ state: 'attached' });
    await choice.selectOption('1');
    await textWith(page, `tr[data-ksock="${there.id}"]`, 'on bus 1');
    expect(new URL(page.url()).hash).toBe('#bus=1');
  });

  it('shows the names that bindings has, who is asked though nobody replies, and last values', async () => {
    const listener = await local.open({ name: 'screen' });
    await listener.bind('$.Room.*');
    const heater = await local.open({ name: 'heater' });
    await heater.bind('$.Heater.Set', true);
    const page = await open('&view=names');
    await heater.sendMsg(new Announcement('$.Room.Temp', '21.5'));
    await failed(listener.request('$.Nobody'));
    expect(await textWith(page, '[data-name="$.Room.Temp"]', '21.5')).toMatch(/^Temp screen /);
    expect(await textWith(page, '[data-name="$.Nobody"]', 'asked')).toContain('nobody: asked 1×');
    for (const { ksock, name } of await listener.readBindings()) {
      const row = await textWith(page, `[data-name="${name}"]`, '');
      expect(row).toContain(ksock === heater.id ? 'heater' : 'screen');
    }
    await page.locator('[data-name="$.Room"] button.fold').click();
    await page.locator('[data-name="$.Room.Temp"]').waitFor({ state: 'detached' });
  });

  it('shows who talks to whom, and the neighbourhood of one program', async () => {
    const page = await open('&view=talk');
    const screen = await local.open({ name: 'screen' });
    await screen.bind('$.Room.*');
    const sensor = await local.open({ name: 'sensor' });
    for (let at = 0; at < 3; at++) await sensor.sendMsg(new Announcement('$.Room.Temp', 'x'));
    await textWith(page, '#counts', '1 senders, 1 receivers, 1 pairs');
    await page.getByLabel('Program', { exact: true }).selectOption(String(screen.id));
    expect(await textWith(page, '.detail', '3 in all')).toMatch(
      /Gets messages from 1 sensor .* 3 in all Sends messages to nobody/,
    );
  });

  it('sends only if the address lets it, and then says what came of it', async () => {
    const heater = await local.open({ name: 'heater' });
    await heater.replier('$.Heater.Set', (request) => `set to ${request.text()}`);
    const page = await open('&send=&view=try');
    await page.getByRole('button', { name: 'Request' }).click();
    await page.getByLabel('Name').fill('$.Heater.Set');
    await textWith(
      page,
      '.fate',
      `heater (Ksock ${heater.id}, pid ${process.pid}) would answer it`,
    );
    await page.getByLabel('Data').fill('21');
    await page.getByRole('button', { name: 'Send' }).click();
    expect(await textWith(page, '#outcome', 'set to 21')).toContain(`Ksock ${heater.id} replied`);
    const other = await open('&view=now');
    expect(await other.getByRole('link', { name: 'Try it' }).count()).toBe(0);
    // The page is no program on the bus.
    expect((await heater.stats()).ksocks).toHaveLength(1);
  });

  it('shows a hundred programs', async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, at) => local.open({ name: `program ${at}` })),
    );
    await Promise.all(all.map((ksock) => ksock.bind('$.Everybody')));
    const page = await open('&view=now');
    await textWith(page, '.summary', '100 programs');
    await page.getByRole('link', { name: 'Who talks' }).click();
    for (const ksock of all) await ksock.sendMsg(new Announcement('$.Everybody'));
    await textWith(page, '#counts', '100 senders, 100 receivers, 10,000 pairs');
  });

  it('shows a recording that is given to it, also a damaged one, and goes back to the bus', async () => {
    const folder = await newFolder();
    const path = join(folder, 'run.mcap');
    await record(path, (bus) => {
      const who = (program: string) => ({ who: { program, pid: 7, uid: 0, isClaimed: true } });
      const heater = new Program(bus, who('heater')).answer('$.Heater');
      const panel = new Program(bus, who('panel'));
      panel.request('$.Heater', { data: '21' });
      heater.reply(heater.next(), { data: 'ok' });
      panel.announce('$.Done');
    });
    const page = await open('&view=messages');
    const give = (file: string) => page.locator('input[type=file]').setInputFiles(file);
    await give(path);
    expect(await textWith(page, '#state', 'Recording')).toContain('Recording run.mcap: bus 0');
    await textWith(page, '#counts', '3 messages');
    expect(await textWith(page, '.list tr', 'answered after')).toMatch(
      /Request .* panel heater 21/,
    );
    await page.getByRole('link', { name: 'Now' }).click();
    await textWith(page, 'tbody tr', 'heater');
    await page.getByRole('button', { name: 'Back to the bus' }).click();
    await page.waitForSelector('[data-state="connected"]');
    const bytes = readFileSync(path);
    const cut = join(folder, 'cut.mcap');
    writeFileSync(cut, bytes.subarray(0, bytes.length / 2));
    await give(cut);
    await textWith(page, '#advice', 'cut off');
    await page.getByRole('button', { name: 'Back to the bus' }).click();
    const none = join(folder, 'none.mcap');
    writeFileSync(none, 'no recording');
    await give(none);
    await textWith(page, '#state', 'none.mcap: this is no recording');
  });

  it('shows all buses as bowls, and the Limpets between them as links', async () => {
    const path = join(await newFolder(), 'limpet.sock');
    const limpets = [
      new Limpet({ id: 5, bus: 0, directory: local.directory, links: [{ server: path }] }),
      new Limpet({ id: 6, bus: 1, directory: local.directory, links: [{ client: path }] }),
    ];
    for (const limpet of limpets) await limpet.start();
    try {
      await local.open({ name: 'heater' });
      await local.open({ name: 'screen' }, 1);
      const page = await open('&view=buses');
      await textWith(page, '[data-bus="0"]', 'heater');
      expect(await textWith(page, '[data-bus="1"]', 'screen')).toContain('Limpet 6');
      expect(await textWith(page, 'table.joints tbody', 'up')).toMatch(/Limpet 5 ⇄ Limpet 6 up/);
      expect(await page.locator('svg.joints path.good').count()).toBe(1);
      await page.getByRole('link', { name: 'Bus 1' }).click();
      await textWith(page, 'tbody tr', 'screen');
      expect(new URL(page.url()).hash).toBe('#bus=1');
      // What the page asked by is gone.
      const { ksocks } = await (await local.open()).stats();
      expect(ksocks.map(({ program }) => program)).not.toContain('inspector');
    } finally {
      for (const limpet of limpets) await limpet.stop();
    }
  });

  it('saves the messages that fit the filter as a recording, which kbus and the page can read', async () => {
    const page = await open('&view=messages');
    const heater = await local.open({ name: 'heater' });
    await heater.replier('$.Heater.Set', () => 'ok');
    const panel = await local.open({ name: 'panel' });
    for (let at = 0; at < 3; at++) {
      await panel.sendMsg(new Announcement('$.Panel.Ready', String(at)));
      await panel.request('$.Heater.Set', String(at));
    }
    await textWith(page, '#counts', '9 messages');
    const save = async (): Promise<string> => {
      const saving = page.waitForEvent('download');
      await page.locator('#save').click();
      const download = await saving;
      expect(download.suggestedFilename()).toMatch(/^kbus0-.*\.mcap$/);
      const path = join(await newFolder(), 'saved.mcap');
      await download.saveAs(path);
      return path;
    };
    const all = await save();
    expect(await textWith(page, '#saved', 'saved')).toBe('9 messages saved');
    await page.locator('#filter').fill('heater');
    await textWith(page, '#counts', '6 of 9');
    const some = await save();
    expect(await textWith(page, '#saved', '6')).toBe('6 messages saved');
    const info = JSON.parse((await kbus(['recording', 'info', '--json', all])).stdout);
    expect(info).toMatchObject({ messages: 9 });
    const shown = (await kbus(['recording', 'show', some])).stdout;
    expect(shown).toContain('$.Heater.Set');
    expect(shown).not.toContain('$.Panel.Ready');
    await page.locator('#filter').fill('');
    await page.locator('input[type=file]').setInputFiles(some);
    await textWith(page, '#counts', '6 messages');
    expect(await page.locator('.list tr', { hasText: 'answered after' }).count()).toBe(3);
    // A part of a recording, too.
    await page.locator('#filter').fill('data:2');
    await textWith(page, '#counts', '1 of 6');
    expect(
      JSON.parse((await kbus(['recording', 'info', '--json', await save()])).stdout),
    ).toMatchObject({ messages: 1 });
  });

  it('shows the recording of kbus web without a daemon, and its address has the view', async () => {
    const path = join(await newFolder(), 'run & fun.mcap');
    await record(path, (bus) => {
      const who = { program: 'panel', pid: 7, uid: 0, isClaimed: true };
      new Program(bus, { who }).announce('$.Done', { data: 'so it is' });
    });
    const server = await RecordingServer.start(path, 0, LOCAL_WEB.folder);
    try {
      const page = await context.newPage();
      page.on('pageerror', (error) => wrong.push(String(error.stack)));
      const file = new URLSearchParams({ file: 'run & fun.mcap' });
      await page.goto(`${server.address}&${file}&view=messages`);
      await textWith(page, '#state', 'Recording run & fun.mcap: bus 0');
      await textWith(page, '.list tr', 'so it is');
      expect(page.url()).not.toContain('token');
      expect(await page.getByLabel('Bus').count()).toBe(0);
      await page.reload();
      await textWith(page, '.list tr', 'so it is');
    } finally {
      await server.stop();
    }
  });

  it('comes back after a restart of the daemon that keeps its tokens, and says so between', async () => {
    await local.stop();
    const web = { ...LOCAL_WEB, keepTokens: true };
    local = await LocalDaemon.start({}, { web });
    const page = await open();
    const { port } = local.page();
    const { directory } = local;
    await local.stop();
    await page.waitForSelector('[data-state="lost"]');
    expect(await page.locator('#verdict').innerText()).toContain('Not connected');
    const again = { ...web, listen: `127.0.0.1:${port}` };
    local = await LocalDaemon.start({}, { directory, web: again });
    await local.open({ name: 'after the restart' });
    await page.waitForSelector('[data-state="connected"]');
    await textWith(page, 'tbody tr', 'after the restart');
  });
});
