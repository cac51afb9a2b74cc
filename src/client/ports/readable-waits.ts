import type { PortError } from './port.ts';

/** A caller of `onReadable`, until its promise settles. */
interface Subscriber {
  readonly readable: () => void;
  resolve(): void;
  reject(error: PortError): void;
}

/** Waits for prefetched messages: of readers, which wait once, and of a subscriber, which is called each time. */
export class ReadableWaits {
  private readers: ((isReadable: boolean) => void)[] = [];
  private subscriber: Subscriber | null = null;

  get hasReader(): boolean {
    return this.readers.length > 0;
  }

  get hasSubscriber(): boolean {
    return this.subscriber !== null;
  }

  /** Calls `wake` once: with true when messages are available or the connection has ended, with false by `stop`. */
  addReader(wake: (isReadable: boolean) => void): void {
    this.readers.push(wake);
  }

  subscribe(readable: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.subscriber = { readable, resolve, reject };
    });
  }

  wakeReaders(isReadable: boolean): void {
    const { readers } = this;
    this.readers = [];
    for (const wake of readers) wake(isReadable);
  }

  callSubscriber(): void {
    this.subscriber?.readable();
  }

  stop(): void {
    this.wakeReaders(false);
    this.subscriber?.resolve();
    this.subscriber = null;
  }

  /** The connection has ended; prefetched messages may be left. */
  endSubscription(refusal: PortError, isAtHand: boolean): void {
    const { subscriber } = this;
    this.subscriber = null;
    if (isAtHand) subscriber?.readable();
    subscriber?.reject(refusal);
  }
}
