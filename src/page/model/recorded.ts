import type { RecordedEvent } from '../../recording/recording.ts';
import type { TapEvent } from '../../tap/events.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Gives the events of a recording the times that their taps told: since the tap began, not since 1970. */
export class Recorded {
  /** Events of the other recordings, in a merged file: of another bus, or of another time. */
  others = 0;
  /** Microseconds between 1970 and the beginning of the tap. */
  private began = 0;

  eventsOf(batch: readonly RecordedEvent[]): TapEvent[] {
    const events: TapEvent[] = [];
    for (const { event, source } of batch) {
      if (source !== 0) {
        this.others++;
        continue;
      }
      if (event.type === 'begin') this.began = event.startedAt * 1000;
      (event as Mutable<TapEvent>).time -= this.began;
      events.push(event);
    }
    return events;
  }
}
