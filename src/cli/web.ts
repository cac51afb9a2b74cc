import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { FileError } from '../recording/file-error.ts';
import { openRecording } from '../recording/open-recording.ts';
import { addressFile, openingFile } from '../system/web-address-file.ts';
import { RecordingServer } from '../web/recording-server.ts';
import { addBusOptions, type BusOptions, directoryOf, serveCommand } from './bus-options.ts';
import { Ending, ending } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { openBrowser } from './open-browser.ts';
import { print, printJson, remark } from './output.ts';
import { fileFailure } from './record.ts';

interface WebCommandOptions extends BusOptions {
  open?: boolean;
  allowSend?: boolean;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .argument('[file]', 'a recording to show, in place of a bus')
    .option('--open', 'open the page in the browser of this system')
    .option('--allow-send', 'the page may send messages, too: it has the view "Try it"')
    .addHelpText(
      'after',
      `
Prints the address of the page that a daemon serves to browsers (kbus serve --web), with a token behind the #. The
token gives all rights on all buses: who has the address may do what you may do. With --access, it gives the rights of
an access point of the configuration file that has web = true.
Each start of the daemon makes new tokens, unless it has web-keep-tokens.

With a recording, it serves the same page with that file, to this machine alone, until Ctrl-C. That needs no daemon.

The page shows what happens on the bus, and changes nothing. --allow-send is a guard against mistakes, and none against
people: what a token permits, say the rights of its access point.

Examples:
  kbus web
  kbus web --open
  kbus web --access guest
  kbus web run.mcap --open`,
    )
    .action(web);
}

async function web(recording: string | undefined, options: WebCommandOptions): Promise<void> {
  if (recording !== undefined) return webRecording(recording, options);
  const { access = '', allowSend, bus, directory: given } = options;
  // Not at the access point: one that is for the web need not be for this user.
  const place = { bus, ...(given !== undefined && { directory: given }) };
  const directory = await directoryOf(place, '--web');
  const more = `${bus === 0 ? '' : `&bus=${bus}`}${allowSend ? '&send=' : ''}`;
  const address = `${readAddress(directory, access, given)}${more}`;
  await tell(address, options, openingFile(directory, access));
}

/** Prints an address, or opens it in the browser, which `file` leads there. */
async function tell(address: string, options: WebCommandOptions, file: string): Promise<void> {
  if (options.open) {
    const why = await openBrowser(address, file);
    if (why !== null) {
      throw new Failure(
        Exit.REFUSED,
        `can't open a browser: ${why}. Open this address yourself:\n  ${address}`,
        undefined,
      );
    }
  }
  if (options.json) await printJson({ address });
  else if (options.open) await print('opened in the browser\n');
  else await print(`${escaped(address)}\n`);
}

/** Serves the page with a recording until a signal ends that. */
async function webRecording(path: string, options: WebCommandOptions): Promise<void> {
  const { access, allowSend, directory } = options;
  if ((access ?? allowSend ?? directory) !== undefined) {
    const why =
      'a recording has no bus: --access, --allow-send and --directory are for the page of a daemon';
    throw new Failure(Exit.USAGE, why);
  }
  try {
    // Says what is wrong with the file before a browser does.
    await (await openRecording(path)).close();
  } catch (error) {
    throw error instanceof FileError ? fileFailure(error) : error;
  }
  const server = await RecordingServer.start(path);
  const folder = mkdtempSync(join(tmpdir(), 'kbus-web-'));
  try {
    const file = new URLSearchParams({ file: basename(path) });
    await tell(`${server.address}&${file}`, options, join(folder, 'page.html'));
    remark(`serving ${path}; end with Ctrl-C`);
    if (!ending.aborted) {
      await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await server.stop();
  }
  if (ending.reason instanceof Ending) process.exitCode = 0;
}

function readAddress(directory: string, access: string, given: string | undefined): string {
  const path = addressFile(directory, access);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') {
      throw new Failure(
        Exit.REFUSED,
        `only the user who runs the daemon may read its token: ${path}. Ask that user for the address.`,
        error,
      );
    }
    const isNamed = access !== '' && code === 'ENOENT';
    const advice = isNamed
      ? `give access point '${access}' web = true in the configuration file of the daemon, which must serve the web (--web)`
      : `stop it, and start it with:  ${serveCommand(given)} --web 127.0.0.1:8080`;
    throw new Failure(
      Exit.REFUSED,
      `the daemon in ${directory} serves no page there: ${advice}`,
      error,
    );
  }
}
