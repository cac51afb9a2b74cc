import type { Binding } from './binding-tree.ts';
import type { MessageBatch } from './message-batch.ts';

/** Entries of a page: a longer ring grows by pages, so that what is there stays where it is. */
const PAGE_BITS = 12;
const PAGE_LENGTH = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_LENGTH - 1;
const FIRST_CAPACITY = 4;

/** The entries of a queue in columns. */
class Page {
  readonly batches: (MessageBatch | undefined)[];
  readonly bindings: (Binding | null)[];
  readonly read: number[];

  constructor(length: number) {
    this.batches = new Array(length).fill(undefined);
    this.bindings = new Array(length).fill(null);
    this.read = new Array(length).fill(0);
  }

  /** Moves the entry at `at` to another page. */
  give(at: number, to: Page, toAt: number): void {
    to.batches[toAt] = this.batches[at];
    to.bindings[toAt] = this.bindings[at] as Binding | null;
    to.read[toAt] = this.read[at] as number;
    this.batches[at] = undefined;
    this.bindings[at] = null;
  }
}

const NONE = new Page(0);

/**
 * A ring of queue entries that doubles when it is full. To double a ring of a million entries by copying them takes 60 ms, in
 * which nobody is served (spec 1 §14.2): no more than one page is copied here.
 */
export class Ring {
  /** The first of the pages, which mostly is the only one. */
  private first: Page = NONE;
  private pages: (Page | null)[] = [];
  /** A power of two, so that places wrap with a mask. */
  capacity = 0;
  private mask = -1;
  private head = 0;

  private page(place: number): Page {
    return place < PAGE_LENGTH ? this.first : (this.pages[place >>> PAGE_BITS] as Page);
  }

  batch(entry: number): MessageBatch | undefined {
    const place = (this.head + entry) & this.mask;
    return this.page(place).batches[place & PAGE_MASK];
  }

  binding(entry: number): Binding | null {
    const place = (this.head + entry) & this.mask;
    return this.page(place).bindings[place & PAGE_MASK] as Binding | null;
  }

  read(entry: number): number {
    const place = (this.head + entry) & this.mask;
    return this.page(place).read[place & PAGE_MASK] as number;
  }

  setRead(entry: number, read: number): void {
    const place = (this.head + entry) & this.mask;
    this.page(place).read[place & PAGE_MASK] = read;
  }

  setBatch(entry: number, batch: MessageBatch): void {
    const place = (this.head + entry) & this.mask;
    this.page(place).batches[place & PAGE_MASK] = batch;
  }

  /** Sets a new entry, of which nothing has been read. */
  set(entry: number, batch: MessageBatch, binding: Binding | null): void {
    const place = (this.head + entry) & this.mask;
    let page = this.page(place) as Page | null;
    if (page === null) {
      page = new Page(PAGE_LENGTH);
      this.pages[place >>> PAGE_BITS] = page;
    }
    const at = place & PAGE_MASK;
    page.batches[at] = batch;
    page.bindings[at] = binding;
    page.read[at] = 0;
  }

  forget(entry: number): void {
    const place = (this.head + entry) & this.mask;
    const page = this.page(place);
    page.batches[place & PAGE_MASK] = undefined;
    page.bindings[place & PAGE_MASK] = null;
  }

  move(from: number, to: number): void {
    this.set(to, this.batch(from) as MessageBatch, this.binding(from));
    this.setRead(to, this.read(from));
  }

  /** What is `by` places behind the first entry becomes the first. */
  turn(by: number): void {
    this.head = (this.head + by) & this.mask;
  }

  clear(): void {
    this.pages = [];
    this.first = NONE;
    this.capacity = 0;
    this.mask = -1;
    this.head = 0;
  }

  /** Doubles the ring, in which all places are taken. */
  grow(): void {
    const { capacity, head, pages } = this;
    if (capacity < PAGE_LENGTH) {
      const larger = new Page(Math.max(FIRST_CAPACITY, 2 * capacity));
      for (let entry = 0; entry < capacity; entry++) {
        const place = (head + entry) & this.mask;
        this.page(place).give(place, larger, entry);
      }
      this.pages = [larger];
      this.first = larger;
      this.head = 0;
      this.setCapacity(larger.read.length);
      return;
    }
    // The pages begin with that of the first entry. What lies before it there are the last entries: they get a page.
    const first = head >>> PAGE_BITS;
    const within = head & PAGE_MASK;
    const turned = [...pages.slice(first), ...pages.slice(0, first)];
    const last = new Page(PAGE_LENGTH);
    for (let at = 0; at < within; at++) (turned[0] as Page).give(at, last, at);
    const free: null[] = new Array(pages.length - 1).fill(null);
    this.pages = [...turned, last, ...free];
    this.first = turned[0] as Page;
    this.head = within;
    this.setCapacity(2 * capacity);
  }

  private setCapacity(capacity: number): void {
    this.capacity = capacity;
    this.mask = capacity - 1;
  }
}
