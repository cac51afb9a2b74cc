// Writes the pages of docs/ that are made from tables in the source; with --check, only says whether
// they are what the tables say.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RequestEvent, TRANSITIONS } from '../dist/bus/ledger.js';
import { RequestState } from '../dist/bus/requests.js';
import { Errno, MEANING, UNIX_TEXT } from '../dist/message/errno.js';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const MADE =
  '<!-- Made by scripts/pages.mjs from a table in the source: change that, then run it. -->';

/** @import { Call } from '../dist/message/errno.js' */

/** What each call is in the API, for the page of errors. @type {Record<Call, string>} */
const CALLS = {
  open: 'Opening a Ksock',
  bind: 'bind',
  unbind: 'unbind',
  findReplier: 'findReplier',
  write: 'Writing a message: writeMsg, writeData, and the first half of sendMsg',
  send: 'Sending: send, sendMsg, post, sendAll, request',
  read: 'Reading',
  maxMessages: 'setMaxMessages',
  wantMessagesOnce: 'wantMessagesOnce',
  reportReplierBinds: 'reportReplierBinds',
  verbose: 'verbose',
  maxMessageSize: 'setMaxMessageSize',
  newDevice: 'newDevice',
  ioctl: 'Any ioctl of a device file',
  request: 'request, beside what sending gives',
  any: 'Any call',
};

const capital = (/** @type {string} */ text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @template {string} K @template T @param {{ readonly [key in K]?: T }} table */
const rowsOf = (table) => /** @type {[K, T][]} */ (Object.entries(table));

function errors() {
  const sections = rowsOf(MEANING).map(([call, meanings]) => {
    const rows = rowsOf(meanings).map(
      ([code, meaning]) =>
        `| ${code} | ${Errno[code]} | ${UNIX_TEXT[code]} | ${capital(meaning)}. |`,
    );
    return [
      `## ${CALLS[call]}`,
      '',
      '| code | number | Unix says | in KBUS it means |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  return [
    '# Errors',
    '',
    MADE,
    '',
    'A call that KBUS refuses rejects with a `KbusError`. Its `code` and `errno` are those of Linux, on',
    'every platform, and never change; `call` names the call, `meaning` says what stood in the way, and the',
    'message says what was asked as well. Where the bus or the client knows the values, `meaning` names them: whose',
    'queue is full and how full, the size and the limit, which name was probably meant. Otherwise it is the',
    'sentence below: for programs at device files, which get the number alone, and for most of a flood of refusals,',
    'of which the daemon explains the first. `kbus errno EPIPE` prints that sentence from the shell.',
    '',
    'A `request` that KBUS answered with a Status in place of the Replier rejects with a `StatusError`,',
    'whose `status` is that message: see [requests.md](requests.md). One whose Replier failed rejects',
    'with a `ReplierError`. Both are KbusErrors, with the code `STATUS`.',
    '',
    sections.join('\n\n'),
    '',
  ].join('\n');
}

function requests() {
  const words = (/** @type {object} */ names) =>
    Object.keys(names).map((name) => name.toLowerCase().replaceAll('_', ' '));
  const [states, events] = [words(RequestState), words(RequestEvent)];
  const arrows = [];
  const statuses = [];
  for (const [at, from] of states.entries()) {
    for (const [index, event] of events.entries()) {
      const transition = TRANSITIONS[at]?.[index];
      if (transition === undefined) continue;
      const { to, status } = transition;
      arrows.push(`    ${from} --> ${states[to]}: ${event}`);
      if (status) statuses.push(`| \`${status}\` | ${from} | ${event} |`);
    }
  }
  return [
    '# What becomes of a Request',
    '',
    MADE,
    '',
    'Every Request that was accepted gets exactly one Reply or Status. The ledger of a bus holds one',
    'record for each, and this is all that can happen to it:',
    '',
    '```mermaid',
    'stateDiagram-v2',
    '    [*] --> waiting: sent with ALL_OR_WAIT, and a queue is full',
    '    [*] --> unread: sent',
    ...arrows,
    '    ended --> [*]',
    '```',
    '',
    "A requester gives up a Request when its time is over. If it is unread, it leaves the Replier's queue,",
    "and the requester is told that nobody carries it out. What the daemon has sent ahead to the Replier's",
    'program, to be handed to its handlers, counts as read: it may be carried out, and its Reply is refused',
    '(ECONNREFUSED).',
    '',
    'A Status is a message that KBUS makes in place of a Reply. Its name tells why:',
    '',
    '| Status | the Request was | and then |',
    '| --- | --- | --- |',
    ...statuses,
    '| `$.KBUS.Bus.GoneAway` | any of these | the daemon went away: the client makes this one |',
    '',
  ].join('\n');
}

const pages = { 'docs/errors.md': errors(), 'docs/requests.md': requests() };
let stale = false;
for (const [path, text] of Object.entries(pages)) {
  const now = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (now === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${path} is not what the source says: run \`node scripts/pages.mjs\`.`);
    stale = true;
  } else {
    writeFileSync(path, text);
    console.log(`${path} written`);
  }
}
process.exit(stale ? 1 : 0);
