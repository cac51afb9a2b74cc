import type { Command } from 'commander';

/** A command of `kbus`. Only the code of the command that runs is loaded. */
interface Entry {
  readonly name: string;
  /** For the list of commands, and the command's own help. */
  readonly summary: string;
  /** Loads the module that adds arguments, options, examples and action. */
  readonly load: () => Promise<{ configure(command: Command): void }>;
}

/** Commands that `kbus --help` lists below one heading. */
interface Group {
  readonly heading: string;
  readonly commands: readonly Entry[];
}

export const GROUPS: readonly Group[] = [
  {
    heading: 'Start here:',
    commands: [
      {
        name: 'play',
        summary: 'watch four programs talk over a bus: start here',
        load: () => import('./play.ts'),
      },
      {
        name: 'doctor',
        summary: 'check what KBUS can do on this machine, and what is missing',
        load: () => import('./doctor.ts'),
      },
    ],
  },
  {
    heading: 'Run buses:',
    commands: [
      {
        name: 'serve',
        summary: 'start the buses of this machine',
        load: () => import('./serve.ts'),
      },
      {
        name: 'limpet',
        summary: 'join buses, so that they look like one',
        load: () => import('./limpet.ts'),
      },
      {
        name: 'web',
        summary: 'print the address of the page of a daemon, with its token',
        load: () => import('./web.ts'),
      },
      {
        name: 'kick',
        summary: 'end a Ksock of another program',
        load: () => import('./kick.ts'),
      },
    ],
  },
  {
    heading: 'Send and receive:',
    commands: [
      {
        name: 'send',
        summary: 'send an Announcement',
        load: () => import('./send.ts'),
      },
      {
        name: 'listen',
        summary: 'print messages as they are sent',
        load: () => import('./listen.ts'),
      },
      {
        name: 'request',
        summary: 'send a Request and print its Reply',
        load: () => import('./request.ts'),
      },
      {
        name: 'reply',
        summary: 'reply to Requests',
        load: () => import('./reply.ts'),
      },
    ],
  },
  {
    heading: 'See what happens:',
    commands: [
      {
        name: 'bindings',
        summary: 'show the Listeners and Repliers of a bus, and their names',
        load: () => import('./bindings.ts'),
      },
      {
        name: 'stats',
        summary: 'show the state of a bus and its Ksocks',
        load: () => import('./stats.ts'),
      },
      {
        name: 'top',
        summary: 'watch who sends and reads how much, and who is slow',
        load: () => import('./top.ts'),
      },
      {
        name: 'trace',
        summary: 'show what becomes of each message of a name',
        load: () => import('./trace.ts'),
      },
      {
        name: 'access',
        summary: 'show who may do what on a bus',
        load: () => import('./access.ts'),
      },
      {
        name: 'limpets',
        summary: 'show the Limpets of a bus and their links',
        load: () => import('./limpets.ts'),
      },
    ],
  },
  {
    heading: 'Record and replay:',
    commands: [
      {
        name: 'record',
        summary: 'record what happens on a bus',
        load: () => import('./record.ts'),
      },
      {
        name: 'recording',
        summary: 'show, filter, merge or export a recording',
        load: () => import('./recording.ts'),
      },
      {
        name: 'replay',
        summary: 'send the messages of a recording again, and compare the answers',
        load: () => import('./replay.ts'),
      },
    ],
  },
  {
    heading: 'Other tools:',
    commands: [
      {
        name: 'bench',
        summary: 'measure the speed of a bus',
        load: () => import('./bench.ts'),
      },
      {
        name: 'errno',
        summary: 'explain an error number',
        load: () => import('./errno.ts'),
      },
      {
        name: 'completion',
        summary: 'print a script that completes commands in bash, zsh or fish',
        load: () => import('./completion.ts'),
      },
    ],
  },
];

export const COMMANDS: readonly Entry[] = GROUPS.flatMap(({ commands }) => commands);
