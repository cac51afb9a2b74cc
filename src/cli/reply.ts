import { spawn } from 'node:child_process';
import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Ksock } from '../client/ksock.ts';
import { KbusError } from '../message/error.ts';
import { type Message, Reply, replyTo } from '../message/message.ts';
import { REPLIER_ERROR } from '../message/request-error.ts';
import { type DataOptions, typedData, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { eachMessage } from './each-message.ts';
import { ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print, remark } from './output.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

interface ReplyOptions extends BusOptions, DataOptions, ShowOptions {
  exec?: string;
  echo?: true;
  count?: number;
  json?: true;
}

export function configure(command: Command): void {
  addShowOptions(addBusOptions(command))
    .argument('<name>', "name to reply to, such as '$.Actor.Ask', or a wildcard: '$.Actor.*'")
    .argument('[data]', 'data of every Reply; - reads it from stdin, once')
    .option('--hex', 'the data is in hex, such as 00ff41')
    .option(
      '--exec <command>',
      'run this for each Request: stdin is its data, stdout becomes the Reply',
    )
    .addOption(
      command.createOption('--echo', 'reply with the data of the Request').conflicts('exec'),
    )
    .option('-n, --count <number>', 'end after this many Requests', wholeNumber(1, 0xffff_ffff))
    .addHelpText(
      'after',
      `
Prints and answers each Request as it arrives, one at a time, until Ctrl-C. The environment of the --exec
command has KBUS_NAME, KBUS_FROM and KBUS_ID; if the command fails, so does the requester's request.

Examples:
  kbus reply '$.Actor.Ask' 'Yes, yes I was'
  kbus reply '$.Text.Upper' --exec 'tr a-z A-Z'
  kbus reply '$.Echo' --echo --full`,
    )
    .action(reply);
}

/** Returns the data of the Reply; an error that it throws is sent to the requester. */
type Answer = (request: Message) => Promise<Uint8Array>;

async function reply(name: string, data: string | undefined, options: ReplyOptions): Promise<void> {
  const binding = typedName(name);
  const answer = await answerOf(data, options);
  await using ksock = await openKsock(options);
  await answered(ksock.bind(binding, true), options);
  remark(`replying to '${binding}' on bus ${options.bus}`);
  await eachMessage(ksock, options.count, async (request) => {
    await print(showMessage(request, options));
    await send(ksock, await replyOrError(request, answer), options);
  });
}

async function answerOf(data: string | undefined, options: ReplyOptions): Promise<Answer> {
  const { echo, exec } = options;
  if (data !== undefined && (echo || exec !== undefined)) {
    throw new Failure(
      Exit.USAGE,
      `the data '${data}' and ${echo ? '--echo' : '--exec'} both define the Reply: omit one`,
    );
  }
  if (echo) return async (request) => request.data;
  if (exec !== undefined) return (request) => run(exec, request);
  const always = await typedData(data, options);
  return async () => always;
}

async function replyOrError(request: Message, answer: Answer): Promise<Reply> {
  try {
    return replyTo(request, await answer(request));
  } catch (error) {
    ending.throwIfAborted();
    const text = (error as Error).message;
    remark(text);
    return new Reply(REPLIER_ERROR, text, { to: request.from, inReplyTo: request.id });
  }
}

async function send(ksock: Ksock, message: Reply, options: BusOptions): Promise<void> {
  try {
    await answered(ksock.sendMsg(message), options);
  } catch (error) {
    // The requester may have left: go on with the next Request.
    if (!(error instanceof KbusError) || !REQUESTER_GONE.has(error.code)) throw error;
    remark(error.message);
  }
}

/** The errors of a Reply whose requester has left, or has given the Request up. */
const REQUESTER_GONE = new Set<string>(['EADDRNOTAVAIL', 'ECONNREFUSED']);

/** How long a command may take to exit after SIGTERM. */
const KILL_TIMEOUT_MS = 200;

/** Runs a command with the data of a Request as its stdin; returns its stdout. */
async function run(command: string, request: Message): Promise<Uint8Array> {
  const child = spawn(command, {
    shell: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    signal: ending,
    env: {
      ...process.env,
      KBUS_NAME: request.name,
      KBUS_FROM: String(request.from),
      KBUS_ID: String(request.id),
    },
  });
  // A command need not read its stdin.
  child.stdin.on('error', () => {});
  child.stdin.end(request.data);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    // An abort is an error, too, and is reported before the command exits.
    child.once('error', () => child.pid === undefined && resolve());
  });
  const closed = new Promise<string>((resolve, reject) => {
    child.once('close', (code, by) =>
      resolve(code === null ? `by ${by}` : `with exit status ${code}`),
    );
    child.once('error', reject);
  });
  try {
    const [output, how] = await untilEnded(Promise.all([buffer(child.stdout), closed]));
    if (child.exitCode === 0) return output;
    throw new Error(`the command '${command}' ended ${how}`);
  } finally {
    // The abort has sent SIGTERM, which the command may ignore.
    if (ending.aborted) {
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    }
  }
}
