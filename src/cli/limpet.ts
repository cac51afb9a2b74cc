import { type Command, Option } from 'commander';
import { NoBusError } from '../client/ports/find-bus.ts';
import { Limpet, type LinkOptions } from '../limpet/limpet.ts';
import { KbusError } from '../message/error.ts';
import { byteSize, wholeNumber, wholeSeconds } from './arguments.ts';
import { Ending, ended, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { readLink } from './link-option.ts';
import { kbusCommand } from './self.ts';
import { folderOfBus, withState } from './state-file.ts';
import { logged, stderrLog } from './stderr-log.ts';
import { expectManyBuffers, keepYoungMemorySmall } from './v8-memory.ts';

interface LimpetCommandOptions {
  server?: true;
  client?: true;
  nats?: string;
  federation?: string;
  natsMode?: 'core' | 'stream';
  natsLarge?: 'pieces' | 'refuse';
  state?: string;
  streamMaxBytes?: number;
  streamMaxAge?: number;
  streamDiscard?: 'old' | 'new';
  streamReplicas?: number;
  creds?: string;
  nkey?: string;
  id: number;
  bus: number;
  directory?: string;
  message: string[];
  termination?: string;
  link: LinkOptions[];
  classic?: true;
  out: string[];
  in: string[];
  keyFile?: string;
  cert?: string;
  key?: string;
  ca?: string;
  insecure?: true;
  buffer?: number;
  log: 'human' | 'json';
}

const collect = (one: string, before: string[]): string[] => [...before, one];

export function configure(command: Command): void {
  command
    .argument('[address]', 'a path, or host:port: where the other Limpet is')
    .option('--server', 'listen at the address; any number of Limpets may connect')
    .option('--client', 'connect to the address, again and again if need be')
    .option('--nats <url>', 'meet others through a NATS server, such as nats://host:4222')
    .option('--federation <federation>', 'with --nats: the name that all who meet there give')
    .addOption(
      new Option(
        '--nats-mode <mode>',
        'with --nats: stream keeps Announcements in JetStream (default: core)',
      ).choices(['core', 'stream']),
    )
    .addOption(
      new Option(
        '--nats-large <what>',
        'with --nats: a message that the server does not take goes in pieces, or is refused with EMSGSIZE (default: pieces)',
      ).choices(['pieces', 'refuse']),
    )
    .option(
      '--state <file>',
      'mode stream: where to keep how far the bus is (default: in $XDG_STATE_HOME/kbus)',
    )
    .option(
      '--stream-max-bytes <bytes>',
      'mode stream: the stream holds this much, such as 1GiB (default: no limit)',
      byteSize,
    )
    .option(
      '--stream-max-age <time>',
      'mode stream: it holds a message for so long, such as 12h or 7d (default: no limit)',
      wholeSeconds,
    )
    .addOption(
      new Option(
        '--stream-discard <what>',
        'mode stream: what goes at the limit: old messages, or none, so that it takes no new one (default: old)',
      ).choices(['old', 'new']),
    )
    .option(
      '--stream-replicas <number>',
      'mode stream: so many servers keep it (default: 1)',
      wholeNumber(1, 5),
    )
    .option('--creds <file>', 'with --nats: credentials, as nsc makes them')
    .option('--nkey <file>', 'with --nats: the seed of an nkey')
    .requiredOption(
      '--id <number>',
      'network id, which no other Limpet has',
      wholeNumber(1, 0xffff_ffff),
    )
    .option('-b, --bus <number>', 'number of the bus', wholeNumber(0, 0xffff_ffff), 0)
    .option(
      '--directory <folder>',
      "folder of the daemon's sockets (default: $KBUS_DIR, the user's, the system's)",
    )
    .option(
      '-m, --message <wildcard>',
      'pass on these messages of the bus; may be repeated (default: $.*)',
      collect,
      [],
    )
    .option('-t, --termination <name>', 'stop when a message of this name is sent on the bus')
    .option(
      '--link <link>',
      'a further link: server:ADDRESS, client:ADDRESS or nats:NAME@URL, then what it needs, as in ,out=NAME ,classic ,mode=stream; may be repeated',
      (text, before: LinkOptions[]) => [...before, readLink(text)],
      [],
    )
    .option(
      '--out <wildcard>',
      'let only these messages leave over the link; may be repeated',
      collect,
      [],
    )
    .option(
      '--in <wildcard>',
      'let only these messages come over the link; may be repeated',
      collect,
      [],
    )
    .option('--classic', 'the other Limpet is a classic one, in C or Python')
    .option('--key-file <file>', 'TCP: a key that both ends have (openssl rand -hex 32)')
    .option('--cert <file>', 'TCP, NATS: the certificate of this Limpet')
    .option('--key <file>', 'TCP, NATS: the key of the certificate')
    .option('--ca <file>', 'TCP, NATS: the authorities whose certificates this Limpet trusts')
    .option('--insecure', 'TCP: anybody on the network may connect and read')
    .option('--buffer <bytes>', 'keep this much for Limpets out of reach (default: 8MiB)', byteSize)
    .addOption(
      new Option('--log <format>', 'format of the log').choices(['human', 'json']).default('human'),
    )
    .addHelpText(
      'after',
      `
Runs until Ctrl-C or SIGTERM. See docs/limpets.md, and docs/machines.md for NATS.

Examples:
  kbus limpet --server --id 1 --bus 0 /tmp/link.sock
  kbus limpet --client --id 2 --bus 1 /tmp/link.sock

Two machines, with a key file at both
  openssl rand -hex 32 > link.key; chmod 600 link.key
  kbus limpet --server --id 1 --key-file link.key 0.0.0.0:7000
  kbus limpet --client --id 2 --key-file link.key first.example:7000

A hub with several links
  kbus limpet --id 1 --link server:/tmp/a.sock --link client:/tmp/b.sock,out=$.Public.*
  kbus limpet --id 1 --link server:/tmp/a.sock --link nats:plant@nats://first.example:4222,large=refuse

Many machines, through a NATS server
  kbus limpet --nats nats://first.example:4222 --federation plant --id 7
  kbus limpet --nats nats://first.example:4222 --federation plant --id 7 --nats-mode stream

Beside a Limpet of the kernel module's time
  kbus limpet --client --id 2 --classic other:7000`,
    )
    .action(run);
}

async function run(address: string | undefined, options: LimpetCommandOptions): Promise<void> {
  const log = stderrLog(options.log);
  let refused: (why: string) => void = () => {};
  // What can never work ends the command, unless other links do work.
  const isFinal = new Promise<string>((resolve) => {
    refused = resolve;
  });
  const limpet = makeLimpet(address, options, (level, text, final) => {
    log[level](text);
    if (final && options.link.length === 0 && (options.client || options.nats)) refused(text);
  });
  keepYoungMemorySmall();
  expectManyBuffers();
  try {
    await untilEnded(limpet.start());
  } catch (error) {
    throw startFailure(error);
  }
  const why = await Promise.race([
    ended().then(() => null),
    limpet.ended.then(() => null),
    isFinal,
  ]);
  await limpet.stop();
  await logged();
  if (why !== null) throw new Failure(Exit.REFUSED, why);
}

function makeLimpet(
  address: string | undefined,
  options: LimpetCommandOptions,
  tell: (level: 'info' | 'warn' | 'error', text: string, isFinal: boolean) => void,
): Limpet {
  const { id, bus, directory, message: names, termination, buffer } = options;
  try {
    const links = linksOf(address, options);
    return new Limpet({
      id,
      bus,
      directory,
      names,
      termination,
      buffer,
      links,
      onEvent: ({ level, text, isFinal = false }) => tell(level, text, isFinal),
    });
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(Exit.USAGE, (error as Error).message, error);
  }
}

function linksOf(address: string | undefined, options: LimpetCommandOptions): LinkOptions[] {
  const {
    server,
    client,
    nats,
    federation,
    natsMode: mode,
    natsLarge: large,
    state,
    streamMaxBytes: maxBytes,
    streamMaxAge: maxAge,
    streamDiscard: discard,
    streamReplicas: replicas,
    bus,
    directory,
    creds: credentials,
    nkey,
    link,
    keyFile,
    cert,
    key,
    ca,
    insecure,
    classic,
    out,
    in: into,
  } = options;
  const more = link.map((each) => {
    if (each.nats !== undefined) {
      const whole = { credentials, nkey, cert, key, ca, ...each };
      return withState(whole, bus, folderOfBus(bus, directory));
    }
    const isTcp = !(each.server ?? each.client ?? '').includes('/');
    return isTcp && each.classic !== true ? { keyFile, cert, key, ca, insecure, ...each } : each;
  });
  const filters = { ...(out.length > 0 && { out }), ...(into.length > 0 && { in: into }) };
  if (nats !== undefined || federation !== undefined) {
    if (nats === undefined) {
      throw new Failure(
        Exit.USAGE,
        `--federation ${federation} needs the address of a NATS server, such as --nats nats://first.example:4222`,
      );
    }
    const extra = mode === 'stream' ? undefined : firstGiven(options, OF_STREAMS);
    if (extra !== undefined) {
      throw new Failure(Exit.USAGE, `--${extra} is for mode stream: add --nats-mode stream`);
    }
    if (server || client || address !== undefined) {
      throw new Failure(
        Exit.USAGE,
        'a link has one place: give an address with --server or --client, or --nats; further links with --link',
      );
    }
    const stream = { mode, state, maxBytes, maxAge, discard, replicas };
    const one = {
      nats,
      federation,
      large,
      ...stream,
      credentials,
      nkey,
      cert,
      key,
      ca,
      ...filters,
    };
    return [withState(one, bus, folderOfBus(bus, directory)), ...more];
  }
  const only = firstGiven(options, OF_NATS);
  if (only !== undefined) {
    throw new Failure(
      Exit.USAGE,
      `--${only} is for a link over NATS: give --nats and --federation`,
    );
  }
  const hasOne = server !== undefined || client !== undefined;
  if (address === undefined && !hasOne && more.length > 0) return more;
  if (address === undefined) {
    throw new Failure(
      Exit.USAGE,
      'where is the other Limpet? Give --server or --client and an address, such as:  kbus limpet --client --id 2 /tmp/link.sock  (or --nats, for many)',
    );
  }
  if ((server === undefined) === (client === undefined)) {
    throw new Failure(
      Exit.USAGE,
      'give either --server, to wait for the other Limpet at the address, or --client, to connect to it',
    );
  }
  const one: LinkOptions = {
    ...(server ? { server: address } : { client: address }),
    ...filters,
    classic,
    keyFile,
    cert,
    key,
    ca,
    insecure,
  };
  return [one, ...more];
}

const OF_STREAMS = [
  'state',
  'streamMaxBytes',
  'streamMaxAge',
  'streamDiscard',
  'streamReplicas',
] as const;
const OF_NATS = ['natsMode', 'natsLarge', ...OF_STREAMS] as const;

/** As it is typed, the first of these options that was given. */
function firstGiven(
  options: LimpetCommandOptions,
  names: readonly (keyof LimpetCommandOptions)[],
): string | undefined {
  const name = names.find((option) => options[option] !== undefined);
  return name?.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function startFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Ending) return error;
  const { cause } = error;
  if (error instanceof NoBusError) return new Failure(Exit.NO_BUS, error.lines(kbusCommand()));
  if (cause instanceof NoBusError) return new Failure(Exit.NO_BUS, cause.lines(kbusCommand()));
  if (error instanceof KbusError) return error;
  return new Failure(Exit.REFUSED, error.message, error);
}
