import { BusModel } from '../../src/page/model/bus-model.ts';
import type { Entry, HistoryLimits } from '../../src/page/model/history.ts';
import { History } from '../../src/page/model/history.ts';
import { Watched } from '../seeing/watched.ts';

/** A bus with programs, and the models of the page that gets the events of a tap on it. */
export class Inspected extends Watched {
  readonly page: BusModel;

  constructor(limits?: HistoryLimits) {
    const page = new BusModel(new History(limits));
    super({ apply: (event) => page.apply([event], 0) });
    this.page = page;
  }

  /** The messages that the page has, the oldest first. */
  get entries(): Entry[] {
    this.settle();
    const { history } = this.page;
    const all: Entry[] = [];
    for (let seq = history.first; seq < history.end; seq++) all.push(history.get(seq) as Entry);
    return all;
  }
}
