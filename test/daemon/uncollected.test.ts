import { describe, expect, it } from 'vitest';
import { Memory } from '../../src/bus/memory.ts';
import { v8Collector } from '../../src/cli/v8-memory.ts';
import { Uncollected } from '../../src/daemon/uncollected.ts';

const MIB = 1024 * 1024;

/** A daemon with a limit of 512 MiB that itself uses 10. */
class Stage {
  readonly memory = new Memory(512 * MIB);
  private readonly share = this.memory.share('');
  readonly uncollected: Uncollected;
  garbage = 0;
  /** Collections begun, and the end of the last one. */
  begun = 0;
  end = (): void => {};

  constructor() {
    this.uncollected = new Uncollected(this.memory, {
      used: () => 10 * MIB + this.memory.held + this.garbage,
      collect: (done) => {
        this.begun++;
        this.end = done;
      },
    });
    this.uncollected.look();
  }

  hold(mib: number): void {
    this.share.hold(mib * MIB);
  }

  /** Programs let go of so much. */
  release(mib: number): void {
    this.hold(-mib);
    this.garbage += mib * MIB;
  }

  /** Whether a collection begins now. */
  get begins(): boolean {
    const before = this.begun;
    this.uncollected.look();
    return this.begun > before;
  }
}

describe('what programs have released', () => {
  it('is collected when it takes half of the room that is left', () => {
    const stage = new Stage();
    stage.hold(200);
    expect(stage.begins).toBe(false);
    stage.release(200);
    expect(stage.begins).toBe(false);
    stage.hold(111);
    expect(stage.begins).toBe(false);
    stage.hold(2);
    expect(stage.begins).toBe(true);
  });

  it('is not collected while there is room, since programs were charged for more than they used', () => {
    const stage = new Stage();
    stage.hold(400);
    stage.garbage = -150 * MIB;
    expect(stage.begins).toBe(false);
    stage.garbage = 50 * MIB;
    expect(stage.begins).toBe(false);
    stage.garbage = 57 * MIB;
    expect(stage.begins).toBe(true);
  });

  it('is not collected all the time when there is no room left', () => {
    const stage = new Stage();
    stage.hold(512);
    expect(stage.begins).toBe(false);
    stage.garbage = 32 * MIB;
    expect(stage.begins).toBe(false);
    stage.garbage++;
    expect(stage.begins).toBe(true);
  });

  it('is collected again only when the last collection is over, and as much has come since', () => {
    const stage = new Stage();
    stage.garbage = 300 * MIB;
    expect(stage.begins).toBe(true);
    expect(stage.begins).toBe(false);
    // Some of it turns out to be in use, by the daemon itself.
    stage.end();
    expect(stage.begins).toBe(false);
    stage.garbage += 32 * MIB;
    expect(stage.begins).toBe(false);
    stage.garbage++;
    expect(stage.begins).toBe(true);
  });

  it('is collected by V8, which would leave it for longer', async () => {
    const used = (): number => v8Collector.used() / MIB;
    const kept: unknown[][] = [];
    const fill = (mib: number): void => {
      for (let at = 0; at < mib * 64; at++) kept.push(new Array(2048).fill(at));
    };
    fill(64);
    const before = used();
    kept.length = 0;
    let isDone = false;
    v8Collector.collect(() => {
      isDone = true;
    });
    // V8 begins when something more is allocated, and goes on beside other work.
    let allocated = 0;
    for (; !isDone; allocated++) {
      fill(1);
      kept.length = 0;
      await new Promise(setImmediate);
    }
    expect(allocated).toBeLessThan(10_000);
    expect(used()).toBeLessThan(before - 32);
  });
});
