import type { Announcer, Ask, Hear } from '../dist/measure/index.js';
import type { Target } from './workloads.mjs';

export type { Announcer, Ask, Hear };

/**
 * What a file under bench/systems/ exports (as default): one bus, or one floor, to be measured. To add
 * one, add its file. It is loaded even when its bus isn't installed, so it loads that in the functions.
 *
 * The measuring itself (clocks, serials, windows of requests in flight, warming up) is done once, in
 * src/measure, for everybody; a system says only how *it* sends and receives. Each of the functions
 * `daemon`, `answer`, `ask`, `listen` and `announce` runs in a process of its own:
 *
 *     rtt, rtt64          ask      → daemon → answer     and back
 *     services            ask      → daemon → answer     (several processes, each has its share of the names)
 *     1to1, big, fan16    announce → daemon → listen     (several connections, several processes)
 *     mixed…              announce → daemon → listen     (several processes at both ends)
 *
 * In `services` and `mixed…` every message is sent to the name with the number that is handed along, of
 * namesOf() in traffic.mjs; the others have one name, which the system chooses.
 *
 * Those of a system that is `alone` run in one process. They are started in the order daemon, answer or listen, ask or announce; each must resolve only when
 * it is ready to be sent to, because the next one is started then. Nobody closes anything: when a
 * cell is over its processes are ended.
 */
export interface System {
  /** What --systems calls it. */
  name: string;
  /** What the tables call it. */
  title: string;
  /** A floor is what the others are divided by; the subject is KBUS; one that is alone does everything
   * in one process, so what can be compared is only what KBUS costs without a daemon. */
  kind: 'floor' | 'subject' | 'alone' | 'peer';
  /** How its processes are connected, for the table. */
  over: 'Unix socket' | 'TCP loopback' | 'one process';
  /** The workloads it does; all if it doesn't say. */
  workloads?: WorkloadName[];
  /** What KBUS should reach, as ratios to the floor, by the figure's key; if it isn't what the workload says. None
   * for another way to do what a system beside it does. */
  targets?: Record<string, Target[]>;
  /** How it does this workload, in a few words, for the notes under the table. */
  how(workload: WorkloadName): string;
  /** What must be installed first, in words, or undefined when all is there. */
  missing(): string | undefined;
  /** The versions of what was measured: program or package, and its version. */
  versions(): Record<string, string>;

  /** The daemon, if it is a program of its own: how to start it. May write its settings into
   * place.folder. */
  program?(place: Place): Program;
  /** The daemon, if it is a function: runs in a process forked for it. */
  daemon?(place: Place): Promise<void>;

  /** Answers every request with the data of the request. `number`, from 0, says which of the
   * receiving processes this is: it answers the names of shareOf() in traffic.mjs. */
  answer(place: Place, number: number): Promise<void>;
  /** Connects, and returns how to ask. */
  ask(place: Place): Promise<Ask>;
  /** Makes one connection that listens; `hear` is to be called for every message. Called
   * several times in one process when that process has several receivers. */
  listen(place: Place, hear: Hear): Promise<void>;
  /** Connects, and returns how to announce. */
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

/** Where one cell (one system, one workload, one round) takes place: the same for all its processes. */
export interface Place {
  workload: WorkloadName;
  /** An empty folder of this cell's own, removed afterwards. */
  folder: string;
  /** A path in it, short enough for a Unix socket, not made yet. */
  socket: string;
  /** A free TCP port on 127.0.0.1. */
  port: number;
  /** Bytes of data in a message, at least and at most: see lengthsOf() in traffic.mjs. */
  least: number;
  size: number;
  /** How many names messages are sent to in turn; 0 when the system chooses one. */
  names: number;
  /** Sending processes. */
  senders: number;
  /** The data handed to `send` stays unchanged during this many further sends; whoever refers
   * to it longer copies it. (The data of a request stays unchanged until its reply.) */
  ring: number;
  /** Connections that listen, in all processes together. */
  receivers: number;
  /** The node binary everything is run with. */
  node: string;
}

export interface Program {
  file: string;
  args: string[];
  /** Found in a line of its output (either one) as soon as it accepts connections. */
  ready: RegExp;
}
