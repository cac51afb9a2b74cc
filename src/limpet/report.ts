import type { Hub } from './hub/hub.ts';
import { linksOf } from './hub/topology.ts';

/**
 * How far a Limpet is with the stream of its federation.
 *
 * @see {@link LimpetReport} for an example
 */
export interface StreamReport {
  readonly name: string;
  /** The number of the last message of the stream that the bus has. */
  readonly position: number;
  /** Bytes of Announcements that wait for the stream. */
  readonly waiting: number;
  /** Announcements that were thrown away, since the stream did not take them in time. */
  readonly dropped: number;
  /** Why the stream is not in reach; '' if it is. */
  readonly trouble: string;
  /** Which Limpets joined with this bus the stream does not reach, and why; '' if it reaches all. */
  readonly beyond: string;
}

/**
 * One link, as `kbus limpets` shows it.
 *
 * @see {@link LimpetReport} for an example
 */
export interface LinkReport {
  readonly number: number;
  readonly kind: 'client' | 'server' | 'federation' | 'sibling';
  readonly address: string;
  /**
   * `up`: it carries messages. `standby`: another path does. `greeting`: the other Limpet has not answered yet. `waiting`:
   * nobody has connected.
   */
  readonly state: 'up' | 'standby' | 'classic' | 'greeting' | 'waiting' | 'lost';
  /** Why it is lost. */
  readonly why?: string;
  /** The network id of the other Limpet. */
  readonly peer?: number;
  /** Milliseconds there and back. */
  readonly roundTrip?: number | null;
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  /** Of a classic link: messages sent, received, and dropped because they came back or do not fit. */
  readonly sent?: number;
  readonly received?: number;
  readonly duplicates?: number;
  readonly unfit?: number;
  /** Of a federation of mode `stream`: how far this Limpet is with its stream. */
  readonly stream?: StreamReport;
}

/**
 * A Limpet in reach.
 *
 * @see {@link LimpetReport} for an example
 */
export interface PathReport {
  readonly id: number;
  /** Over how many links. */
  readonly links: number;
  /** The neighbour through which it goes. */
  readonly by: number;
  readonly repliers: number;
  /** Both hear each other. */
  readonly isReady: boolean;
}

/**
 * What a Limpet tells of itself.
 *
 * @example
 * ```ts
 * import { Bus } from 'kbus';
 * import {
 *   Limpet,
 *   type LimpetReport,
 *   type LinkReport,
 *   type PathReport,
 *   type StreamReport,
 * } from 'kbus/limpet';
 *
 * const isDown = ({ state }: LinkReport): boolean => state === 'lost';
 * const isBehind = (stream?: StreamReport): boolean => (stream?.waiting ?? 0) > 0;
 * const isFar = ({ id, by }: PathReport): boolean => id !== by;
 *
 * const links = [{ server: './report.sock' }];
 * const limpet = new Limpet({ id: 7, bus: new Bus(), links });
 * await limpet.start();
 * const report: LimpetReport = limpet.report();
 * console.log(report.id, report.links[0]?.state, report.missed); // → 7 waiting 0
 * const isLate = report.links.some(({ stream }) => isBehind(stream));
 * console.log(report.links.filter(isDown).length, report.paths.filter(isFar).length); // → 0 0
 * console.log(isLate); // → false
 * await limpet.stop();
 * ```
 */
export interface LimpetReport {
  readonly id: number;
  /** It speaks for its bus; otherwise it stands by, and another Limpet does. */
  readonly isSpeaker: boolean;
  readonly links: readonly LinkReport[];
  readonly paths: readonly PathReport[];
  /** Messages passed on, and delivered here. */
  readonly sent: number;
  readonly received: number;
  /** Messages that this bus lacks, or that this Limpet lost for others. */
  readonly missed: number;
  /** Messages that came a second time. */
  readonly duplicates: number;
  /** Messages that the bus refused. */
  readonly refused: number;
  /** Answers that came too late. */
  readonly late: number;
  /** Requests that wait for an answer of another Limpet. */
  readonly inFlight: number;
  /** Bytes of messages kept for other Limpets. */
  readonly kept: number;
}

/** `tooLarge`: messages that other buses miss, since a link does not carry messages of that size. */
export function reportOf(
  id: number,
  hub: Hub | null,
  links: readonly LinkReport[],
  tooLarge: number,
): LimpetReport {
  if (hub === null) {
    const none = { sent: 0, received: 0, missed: tooLarge, duplicates: 0, refused: 0, late: 0 };
    return { id, isSpeaker: false, links, paths: [], ...none, inFlight: 0, kept: 0 };
  }
  const { counts, streams, topology } = hub;
  const paths = [...topology.paths.values()].map((path) => ({
    id: path.hub.hub.id,
    links: linksOf(path),
    by: Number.parseInt(path.first, 10),
    repliers: path.hub.repliers.size,
    isReady: hub.mayAsk(path.hub.key),
  }));
  return {
    id,
    isSpeaker: hub.isOnBus,
    links,
    paths,
    sent: counts.sent,
    received: counts.received,
    missed: counts.missed + streams.dropped + tooLarge,
    duplicates: streams.duplicates,
    refused: counts.refused,
    late: counts.late,
    inFlight: hub.inFlight,
    kept: streams.own.bytes,
  };
}
