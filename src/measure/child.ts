import type { ChildProcess, Serializable } from 'node:child_process';
import { once } from 'node:events';

/** The keys of all members of a union. */
type KeyOf<Union> = Union extends unknown ? keyof Union & string : never;

/** The members of a union that have this key. */
type With<Union, Key extends string> = Extract<Union, Record<Key, unknown>>;

/** The longest time for a program to exit after its channel was closed. */
const EXIT_TIMEOUT_MS = 5000;

/** A forked program has failed. */
export class ChildError<Said> extends Error {
  /** Its message that it failed; null if it sent none. */
  readonly said: With<Said, 'failed'> | null;
  /** How it ended: a signal or an exit status; null if it sent a message instead. */
  readonly how: string | null;

  constructor(text: string, said: With<Said, 'failed'> | null, how: string | null = null) {
    super(text);
    this.said = said;
    this.how = how;
  }
}

/**
 * A forked program, with which the parent exchanges messages: objects that are identified by their keys. A message with
 * the key `failed` says why the program can't go on. See also {@link forked}.
 */
export class Child<Said extends object, Told extends Serializable> {
  readonly process: ChildProcess;
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Rejects with a ChildError when the program fails. */
  readonly trouble: Promise<never>;
  private readonly title: string;
  private fail: (error: Error) => void = () => {};
  private failure: Error | null = null;
  /** Messages that `next` has not given yet. */
  private readonly unheard: Said[] = [];
  private wanted: {
    key: string;
    give: (message: Said) => void;
    fail: (error: Error) => void;
  }[] = [];
  /** The end of its stderr, if that is a pipe. */
  private complaints = '';

  constructor(process: ChildProcess, title: string) {
    this.process = process;
    this.title = title;
    this.trouble = new Promise((_, reject) => {
      this.fail = (error) => {
        this.failure ??= error;
        for (const { fail } of this.wanted.splice(0)) fail(error);
        reject(error);
      };
    });
    // Callers of `next` get the error, so an unhandled rejection says nothing new.
    this.trouble.catch(() => {});
    process.stderr?.setEncoding('utf8').on('data', (text) => {
      this.complaints = (this.complaints + text).slice(-2000);
    });
    process.on('message', (message) => this.say(message as Said));
    this.ended = new Promise((resolve) => {
      process.once('error', (error) => {
        this.fail(new ChildError<Said>(`${title}: ${error.message}`, null, error.message));
        resolve(error.message);
      });
      process.once('exit', async (code, signal) => {
        const { stderr } = process;
        if (stderr !== null && !stderr.closed) await once(stderr, 'close');
        const how = signal ?? `exit status ${code}`;
        const text = `${title}: the program exited by itself (${how}). ${this.complaints.trim()}`;
        this.fail(new ChildError<Said>(text.trim(), null, how));
        resolve(signal ?? (code as number));
      });
    });
  }

  private say(message: Said): void {
    if ('failed' in message) {
      const said = message as With<Said, 'failed'>;
      this.fail(new ChildError<Said>(`${this.title}: ${message.failed}`, said));
      return;
    }
    const index = this.wanted.findIndex(({ key }) => key in message);
    if (index < 0) this.unheard.push(message);
    else this.wanted.splice(index, 1)[0]?.give(message);
  }

  /** The next message with this key. */
  next<Key extends KeyOf<Said>>(key: Key): Promise<With<Said, Key>> {
    const index = this.unheard.findIndex((message) => key in message);
    const [first] = index < 0 ? [] : this.unheard.splice(index, 1);
    if (first !== undefined) return Promise.resolve(first as With<Said, Key>);
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((give, fail) => {
      this.wanted.push({ key, give: give as (message: Said) => void, fail });
    });
  }

  tell(message: Told): void {
    if (this.process.connected) this.process.send(message);
  }

  /** Closes the channel, at which the program exits; kills it if it takes longer than {@link EXIT_TIMEOUT_MS}. */
  async end(): Promise<void> {
    const { process } = this;
    if (process.connected) process.disconnect();
    const late = setTimeout(() => process.kill('SIGKILL'), EXIT_TIMEOUT_MS);
    await ended(process);
    clearTimeout(late);
  }
}

/** Resolves when a process has exited, or could not be started. */
export async function ended(process: ChildProcess): Promise<void> {
  if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) return;
  await once(process, 'exit');
}
