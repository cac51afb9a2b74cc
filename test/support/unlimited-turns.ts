import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { Work } from '../../src/bus/work.ts';
import { Turns } from '../../src/daemon/turns.ts';

/** Turns that never end, for sessions on buses without a limit. */
export function unlimitedTurns(): Turns {
  return new Turns(new Work(), (turn) => turn(), new FlushScheduler());
}
