import { escapedJson } from '../../base/escape.ts';
import { counted } from '../../base/units.ts';
import type { Tap } from '../../client/tap.ts';
import type { Journey } from '../../seeing/journeys.ts';
import { type Onward, treeOf } from '../../seeing/tree.ts';
import { remark } from '../output.ts';
import { Printer } from '../printer.ts';
import { Followed } from './followed.ts';
import { journeyJson } from './journey-json.ts';
import type { Subject } from './subject.ts';

/** How often it is looked for messages that are not done, and how many of them are printed at once. */
const LOOK_MS = 200;
const MAX_TOLD = 100;
/** How long a message that is done here may take to come out of a Limpet on another bus. */
const LIMPET_MS = 500;

export interface TreesOptions {
  /** Ends after so many messages. */
  readonly count?: number;
  /** A message that is not done after so many milliseconds is printed as it stands. */
  readonly patience: number;
  readonly json?: true;
}

/** The trees of all buses, as they are printed. */
export class Trees {
  readonly printer = new Printer();
  printed = 0;
  /** Resolves when there is room for more output. */
  private room: Promise<void> | undefined;
  private readonly options: TreesOptions;
  private readonly followed: Followed[] = [];
  /** Printed as they stood, once each. */
  private readonly told = new WeakSet<Journey>();
  private readonly timer: NodeJS.Timeout;
  private end: () => void = () => {};
  readonly done = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  constructor(options: TreesOptions) {
    this.options = options;
    this.timer = setInterval(() => this.tellOfUnfinished(options.patience), LOOK_MS);
  }

  /** `since`: milliseconds since 1970; earlier messages are not printed. */
  follow(tap: Tap, subject: Subject, since = 0): void {
    const finished = (journey: Journey, by: Followed): void => this.finished(journey, by);
    this.followed.push(new Followed(tap, subject, finished, () => this.room, since));
  }

  /** All taps have ended: what they told was the past. */
  get ended(): Promise<unknown> {
    return Promise.all(this.followed.map(({ ended }) => ended));
  }

  get ready(): Promise<unknown> {
    return Promise.all(this.followed.map(({ ready }) => ready));
  }

  /** Nothing more can become of a message on this bus. */
  private finished(journey: Journey, by: Followed): void {
    if (this.isCarried(journey, by)) return;
    if (this.followed.length === 1) this.print(journey, by);
    else setTimeout(() => this.print(journey, by), LIMPET_MS);
  }

  /** A Limpet has brought it from another bus that is followed, and it is printed with what became of it there. */
  private isCarried({ id }: Journey, by: Followed): boolean {
    return (
      id.networkId !== 0 &&
      this.followed.some((other) => other !== by && other.limpets.includes(id.networkId))
    );
  }

  private onwardOf(journey: Journey, by: Followed): Onward[] {
    const { networkId, serialNum } = journey.id;
    if (networkId !== 0) return [];
    return this.followed.flatMap((other) => {
      if (other === by) return [];
      return by.limpets.flatMap((limpet) => {
        const there = other.find(`[${limpet}:${serialNum}]`);
        if (there === undefined || there.name !== journey.name) return [];
        const after = Math.max(0, other.timeOf(there) - by.timeOf(journey));
        return [{ limpet, journey: there, after: after * 1000, now: other.now }];
      });
    });
  }

  private tellOfUnfinished(patience: number): void {
    let told = 0;
    for (const by of this.followed) {
      for (const journey of by.journeys.unfinished) {
        if (by.now - journey.at < patience * 1000) break;
        if (this.told.has(journey) || !by.isRoot(journey) || this.isCarried(journey, by)) continue;
        this.told.add(journey);
        if (told++ < MAX_TOLD) this.write(journey, by);
      }
    }
    const more = told - MAX_TOLD;
    if (more > 0) remark(`${counted(more, 'more message is', 'more messages are')} not done`);
  }

  private print(journey: Journey, by: Followed): void {
    if (this.printed === this.options.count) return;
    this.printed++;
    this.write(journey, by);
    if (this.printed === this.options.count) this.end();
  }

  private write(journey: Journey, by: Followed): void {
    const onward = (one: Journey): Onward[] => this.onwardOf(one, by);
    if (this.options.json) {
      this.put(`${escapedJson(journeyJson(journey, by.timeOf(journey), onward(journey)))}\n`);
      return;
    }
    const bus = this.followed.length === 1 ? '' : `bus ${journey.bus} `;
    const timeOf = (one: Journey): string => `${timeOfDay(by.timeOf(one))} ${bus}`.trimEnd();
    const lines = treeOf(journey, { timeOf, now: by.now, onward });
    this.put(`${lines.join('\n')}\n`);
  }

  private put(text: string): void {
    const written = this.printer.print(text);
    if (written === undefined) return;
    written.catch(() => {});
    this.room = written;
  }

  /** Prints what is not finished, as it stands. */
  finish(): void {
    this.tellOfUnfinished(0);
    void this.printer.finish();
  }

  close(): void {
    clearInterval(this.timer);
    for (const { tap } of this.followed) tap.close();
  }
}

function timeOfDay(ms: number): string {
  const date = new Date(ms);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const parts = time.map((part) => String(part).padStart(2, '0'));
  return `${parts.join(':')}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
