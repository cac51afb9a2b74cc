import type { PortError } from './port.ts';

/** Whoever is called when messages come, until told why no more will. */
interface Subscriber {
  readonly came: () => void;
  resolve(): void;
  reject(error: PortError): void;
}

/** Who waits until messages are at hand: readers that wait once, and one subscriber that is called each time. */
export class ReadableWaits {
  private readers: ((isReadable: boolean) => void)[] = [];
  private subscriber: Subscriber | null = null;

  get hasReader(): boolean {
    return this.readers.length > 0;
  }

  get hasSubscriber(): boolean {
    return this.subscriber !== null;
  }

  /** Calls `wake` once: with true when messages came, or the connection is over; with false when reading stops. */
  addReader(wake: (isReadable: boolean) => void): void {
    this.readers.push(wake);
  }

  subscribe(came: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.subscriber = { came, resolve, reject };
    });
  }

  wakeReaders(isReadable: boolean): void {
    const { readers } = this;
    this.readers = [];
    for (const wake of readers) wake(isReadable);
  }

  callSubscriber(): void {
    this.subscriber?.came();
  }

  stop(): void {
    this.wakeReaders(false);
    this.subscriber?.resolve();
    this.subscriber = null;
  }

  /** The connection is over; messages may be left. */
  endSubscription(refusal: PortError, isAtHand: boolean): void {
    const { subscriber } = this;
    this.subscriber = null;
    if (isAtHand) subscriber?.came();
    subscriber?.reject(refusal);
  }
}
