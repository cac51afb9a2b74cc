import type { Command } from 'commander';

/** A command of `kbus`: its code is loaded when it is the one to run. */
interface Entry {
  readonly name: string;
  /** What it does, as the list of commands and its own help say it. */
  readonly summary: string;
  /** Gives the command its arguments, options, examples and action. */
  readonly load: () => Promise<{ configure(command: Command): void }>;
}

export const COMMANDS: readonly Entry[] = [
  {
    name: 'play',
    summary: 'watch four programs speak over a bus: begin here',
    load: () => import('./play.ts'),
  },
  {
    name: 'serve',
    summary: 'start the buses of this machine',
    load: () => import('./serve-command.ts'),
  },
  {
    name: 'send',
    summary: 'send an Announcement',
    load: () => import('./send.ts'),
  },
  {
    name: 'listen',
    summary: 'print the messages that are sent',
    load: () => import('./listen.ts'),
  },
  {
    name: 'request',
    summary: 'send a Request, and print its Reply',
    load: () => import('./request.ts'),
  },
  {
    name: 'reply',
    summary: 'answer Requests',
    load: () => import('./reply.ts'),
  },
  {
    name: 'bindings',
    summary: 'show who listens and who replies, and to what',
    load: () => import('./bindings.ts'),
  },
  {
    name: 'stats',
    summary: 'show the state of a bus and its Ksocks',
    load: () => import('./stats.ts'),
  },
  {
    name: 'bench',
    summary: 'measure how fast a bus is',
    load: () => import('./bench.ts'),
  },
  {
    name: 'doctor',
    summary: 'say what KBUS can do on this machine, and what it lacks',
    load: () => import('./doctor.ts'),
  },
  {
    name: 'errno',
    summary: 'explain an error number',
    load: () => import('./errno.ts'),
  },
];
