import { systemTimers } from '../../base/timers.ts';
import type { Bus } from '../../bus/bus.ts';
import { BusTap } from '../../tap/bus-tap.ts';
import { sizeOf } from '../../tap/limits.ts';
import type { EventSource, ObserveRequest } from './event-port.ts';
import { closedError, type PortError } from './port.ts';

const MICROSECONDS = 1000;

/** Memory that a tap may take before its share is asked again. */
const STEP_BYTES = 64 * 1024;

/** Observes a bus in this process. */
export class LocalEvents implements EventSource {
  onChange: () => void = () => {};
  ended: PortError | null = null;
  private readonly bus: Bus;
  private readonly tap: BusTap;
  private isTelling = false;
  private isPutOff = false;
  private isFinishing = false;
  private held = 0;

  constructor(bus: Bus, { filter, size }: ObserveRequest) {
    this.bus = bus;
    const began = systemTimers.now();
    const options = { filter, size: sizeOf(size), startedAt: Date.now() };
    this.tap = new BusTap(bus, options, {
      now: () => Math.floor((systemTimers.now() - began) * MICROSECONDS),
      hasEvents: () => this.tellSoon(),
      hasBlock: () => this.hold(),
    });
    this.goOn();
  }

  /** Writes what the bus has; if its turn is over, the rest in later ones. */
  private goOn(): void {
    this.tap.goOn();
    if (!this.tap.mustGoOn || !this.bus.work.isTurnOver || this.isPutOff) return;
    this.isPutOff = true;
    this.bus.work.later(() => {
      this.isPutOff = false;
      if (this.ended !== null || this.isFinishing) return;
      this.goOn();
      this.tellSoon();
    });
  }

  /** What happens in one call of a program is told together. */
  private tellSoon(): void {
    if (this.isTelling) return;
    this.isTelling = true;
    queueMicrotask(() => {
      this.isTelling = false;
      this.hold();
      if (this.ended === null) this.onChange();
    });
  }

  take(): Uint8Array | null {
    if (this.ended !== null) return null;
    if (!this.isFinishing) this.goOn();
    const block = this.tap.take();
    this.hold();
    if (block === null && this.isFinishing) this.close();
    return block;
  }

  restate(): void {
    this.tap.restate();
    this.tellSoon();
  }

  finish(): void {
    this.isFinishing = true;
    this.tap.end();
    this.tellSoon();
  }

  private hold(): void {
    const { share } = this.bus;
    const { held } = this.tap;
    share.hold(held - this.held);
    this.held = held;
    this.tap.isSqueezed = !share.hasRoom(held, STEP_BYTES);
  }

  close(): void {
    if (this.ended !== null) return;
    this.tap.stop();
    this.bus.share.hold(-this.held);
    this.held = 0;
    this.ended = closedError();
    this.onChange();
  }
}
