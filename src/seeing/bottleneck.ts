import { count, counted, duration } from '../base/units.ts';
import type { KsockTraffic, TrafficSnapshot } from './traffic.ts';
import { whoOf } from './who.ts';

/** Who holds the others up, in words; `ksock` is null if nobody does. */
export interface Bottleneck {
  readonly ksock: number | null;
  readonly text: string;
}

/** Whoever lets a message or a Request wait for so many milliseconds is slow. */
const SLOW_MS = 1000;
/** A Ksock that has read nothing for so many milliseconds has stopped. */
const STOPPED_MS = 2000;

/**
 * The Ksock that holds the others up most: one whose full queue makes it miss messages, or senders wait; else the one that
 * has not read for longest; else the one that has not answered for longest.
 */
export function bottleneckOf({ ksocks, isComplete }: TrafficSnapshot): Bottleneck {
  if (!isComplete) return { ksock: null, text: 'the state of the bus is being read' };
  const waiting = ksocks.filter(({ info }) => info.sending).length;
  const full = most(ksocks, (one) => {
    const holdsUp = one.missedRate > 0 || waiting > 0 || one.readRate === 0;
    return isFull(one) && holdsUp ? one.missedRate + 1 : 0;
  });
  if (full !== null) return { ksock: full.info.ksock, text: textOfFull(full, waiting) };
  const unread = most(ksocks, ({ unreadAge }) =>
    (unreadAge ?? 0) >= SLOW_MS ? (unreadAge as number) : 0,
  );
  if (unread !== null) return { ksock: unread.info.ksock, text: textOfUnread(unread) };
  const asked = most(ksocks, ({ unansweredAge }) =>
    (unansweredAge ?? 0) >= SLOW_MS ? (unansweredAge as number) : 0,
  );
  if (asked !== null) return { ksock: asked.info.ksock, text: textOfAsked(asked) };
  const slowest = most(ksocks, ({ toRead }) => toRead?.p99 ?? 0);
  const within =
    slowest?.toRead === null || slowest === null
      ? ''
      : `: all queues are read within ${duration(slowest.toRead.p99)} (p99)`;
  return { ksock: null, text: `nobody is slow${within}` };
}

function isFull({ info: { unread, outstanding, maxMessages }, missedRate }: KsockTraffic): boolean {
  return unread + outstanding >= maxMessages || missedRate > 0;
}

function textOfFull(one: KsockTraffic, waiting: number): string {
  const { info, missedRate } = one;
  const says = `the queue of ${whoOf(info)} is full, ${count(info.unread)} of ${count(info.maxMessages)}: ${pace(one)}`;
  const effects: string[] = [];
  if (missedRate > 0) effects.push(`it misses ${count(missedRate)}/s`);
  if (waiting > 0) effects.push(`${counted(waiting, 'sender waits', 'senders wait')} for room`);
  return effects.length === 0 ? says : `${says}; ${effects.join(', and ')}`;
}

function textOfUnread(one: KsockTraffic): string {
  const { info, isOlder, unreadAge } = one;
  const age = `${isOlder ? 'more than ' : ''}${duration(unreadAge as number)}`;
  return `${whoOf(info)} lets messages wait: ${count(info.unread)} unread, the oldest for ${age}; ${pace(one)}`;
}

/** `it reads 1,200 of 20,000 messages/s`. */
function pace({ queuedRate, missedRate, readAgo, readRate }: KsockTraffic): string {
  if (readRate > 0)
    return `it reads ${count(readRate)} of ${count(queuedRate + missedRate)} messages/s`;
  if (readAgo === null) return 'it has read nothing since kbus began to watch';
  return readAgo < STOPPED_MS
    ? 'it has just read nothing'
    : `it has read nothing for ${duration(readAgo)}`;
}

function textOfAsked({ info, isUnansweredOlder, sentRate, unansweredAge }: KsockTraffic): string {
  const requests = counted(info.unreplied, 'Request');
  const age = `${isUnansweredOlder ? 'more than ' : ''}${duration(unansweredAge as number)}`;
  const does = sentRate > 0 ? 'answers slowly' : 'does not answer';
  return `${whoOf(info)} ${does}: it has ${requests}, the oldest for ${age}`;
}

/** The one with the greatest value above 0. */
function most(
  ksocks: readonly KsockTraffic[],
  slowness: (one: KsockTraffic) => number,
): KsockTraffic | null {
  let best: KsockTraffic | null = null;
  for (const one of ksocks) {
    if (slowness(one) > (best === null ? 0 : slowness(best))) best = one;
  }
  return best;
}
