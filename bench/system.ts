import type { Announcer, Ask, Hear } from '../dist/measure/index.js';
import type { Target } from './workloads.mjs';

export type { Announcer, Ask, Hear };

/**
 * The default export of a file under bench/systems/: a bus, or a floor, to measure. To add
 * one, add its file. It is loaded even if its bus isn't installed, so it must load the bus in its functions.
 *
 * src/measure does the measuring for all systems (clocks, serials, windows of requests in flight);
 * a system only sends and receives. Each of the functions
 * `daemon`, `answer`, `ask`, `listen` and `announce` runs in a process of its own:
 *
 *     rtt, rtt64          ask      → daemon → answer     and back
 *     services            ask      → daemon → answer     (several processes, each has its share of the names)
 *     1to1, big, fan16    announce → daemon → listen     (several connections, several processes)
 *     mixed…              announce → daemon → listen     (several processes at both ends)
 *
 * In `services` and `mixed…`, each message goes to the name with the given number, of
 * namesOf() in traffic.mjs; the others have one name, which the system chooses.
 *
 * Those of a system that is `alone` run in one process. They start in the order daemon, answer or listen, ask or
 * announce; each must resolve only when it is ready for messages, because then the next one starts. None closes its
 * connections: at the end of a cell its processes are ended.
 */
export interface System {
  /** Its name for --systems. */
  name: string;
  /** Its title in the tables. */
  title: string;
  /** Ratios are relative to the floor; the subject is KBUS; a system that is alone does everything
   * in one process: it shows the cost of KBUS without a daemon. */
  kind: 'floor' | 'subject' | 'alone' | 'peer';
  /** How its processes are connected, for the table. */
  over: 'Unix socket' | 'TCP loopback' | 'one process';
  /** Its workloads. Default: all. */
  workloads?: WorkloadName[];
  /** KBUS's targets, as ratios to the floor, by the figure's key. Default: those of the workload. Empty
   * for a variant of another system. */
  targets?: Record<string, Target[]>;
  /** How it does this workload, for the notes under the table. */
  how(workload: WorkloadName): string;
  /** What must be installed first; undefined if nothing is missing. */
  missing(): string | undefined;
  /** The measured programs and packages, with their versions. */
  versions(): Record<string, string>;

  /** How to start the daemon, if it is a program. May write its settings into
   * place.folder. */
  program?(place: Place): Program;
  /** The daemon, if it is a function, which runs in a forked process. */
  daemon?(place: Place): Promise<void>;

  /** Answers every request with the data of the request. `number`, from 0, says which of the
   * receiving processes this is: it answers the names of shareOf() in traffic.mjs. */
  answer(place: Place, number: number): Promise<void>;
  /** Connects; gives the function that sends requests. */
  ask(place: Place): Promise<Ask>;
  /** Makes one listening connection; calls `hear` for every message. Called
   * several times in one process when that process has several receivers. */
  listen(place: Place, hear: Hear): Promise<void>;
  /** Connects; gives the announcer. */
  announce(place: Place): Promise<Announcer>;
}

export type WorkloadName =
  | 'mixed'
  | 'mixed1'
  | 'mixed10'
  | 'mixedawait'
  | 'mixed4'
  | 'services'
  | 'rtt'
  | 'rtt64'
  | '1to1'
  | 'fan16'
  | 'big';

/** The environment of a cell (one system, one workload, one round): the same for all its processes. */
export interface Place {
  workload: WorkloadName;
  /** An empty directory for this cell, removed afterwards. */
  folder: string;
  /** A path in it, short enough for a Unix socket; the file does not exist yet. */
  socket: string;
  /** A free TCP port on 127.0.0.1. */
  port: number;
  /** Bytes of data in a message, at least and at most: see lengthsOf() in traffic.mjs. */
  least: number;
  size: number;
  /** The number of names, used in turn; 0 if the system chooses one. */
  names: number;
  /** Sending processes. */
  senders: number;
  /** The data given to `send` stays unchanged during this many further sends; a system that keeps
   * it longer must copy it. (The data of a request stays unchanged until its reply.) */
  ring: number;
  /** Connections that listen, in all processes together. */
  receivers: number;
  /** The node binary for all processes. */
  node: string;
}

export interface Program {
  file: string;
  args: string[];
  /** The text of its output (stdout or stderr) that says that it accepts connections. */
  ready: RegExp;
}
