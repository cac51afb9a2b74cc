import type { Parcel } from './parcel.ts';
import type { Binding } from './routes.ts';

/**
 * The unread messages of one Ksock: a ring that is cheap at both ends. An entry is a parcel and the
 * binding it came by (none for a Reply to the requester, and for a Status). Of a Request, the entry
 * that came by a Replier's binding is the one to answer.
 */
export class Queue {
  private parcels: (Parcel | undefined)[] = [];
  private bindings: (Binding | null)[] = [];
  private head = 0;
  length = 0;

  private get mask(): number {
    return this.parcels.length - 1;
  }

  /** The parcel at `index` from the front, which must be less than the length. */
  parcel(index: number): Parcel {
    return this.parcels[(this.head + index) & this.mask] as Parcel;
  }

  binding(index: number): Binding | null {
    return this.bindings[(this.head + index) & this.mask] as Binding | null;
  }

  pushBack(parcel: Parcel, binding: Binding | null): void {
    if (this.length === this.parcels.length) this.grow();
    const at = (this.head + this.length) & this.mask;
    this.parcels[at] = parcel;
    this.bindings[at] = binding;
    this.length++;
  }

  pushFront(parcel: Parcel, binding: Binding | null): void {
    if (this.length === this.parcels.length) this.grow();
    this.head = (this.head - 1) & this.mask;
    this.parcels[this.head] = parcel;
    this.bindings[this.head] = binding;
    this.length++;
  }

  /** Takes out the entry at `index`; those before it, which must be few, move up. */
  drop(index: number): void {
    for (let at = index; at > 0; at--) {
      const to = (this.head + at) & this.mask;
      const from = (this.head + at - 1) & this.mask;
      this.parcels[to] = this.parcels[from];
      this.bindings[to] = this.bindings[from] as Binding | null;
    }
    this.dropFront();
  }

  private dropFront(): void {
    this.parcels[this.head] = undefined;
    this.bindings[this.head] = null;
    this.head = (this.head + 1) & this.mask;
    this.length--;
    // An idle Ksock holds no memory for the busy hour it had.
    if (this.length === 0 && this.parcels.length > IDLE_CAPACITY) this.clear();
  }

  /** Takes out every entry of a binding, front to back. */
  remove(binding: Binding, removed: (parcel: Parcel) => void): void {
    let kept = 0;
    for (let index = 0; index < this.length; index++) {
      const from = (this.head + index) & this.mask;
      const parcel = this.parcels[from] as Parcel;
      const itsBinding = this.bindings[from] as Binding | null;
      this.parcels[from] = undefined;
      this.bindings[from] = null;
      if (itsBinding === binding) {
        removed(parcel);
      } else {
        const to = (this.head + kept++) & this.mask;
        this.parcels[to] = parcel;
        this.bindings[to] = itsBinding;
      }
    }
    this.length = kept;
  }

  clear(): void {
    this.parcels = [];
    this.bindings = [];
    this.head = 0;
    this.length = 0;
  }

  // Capacity is a power of two, so that the ring's ends wrap with a mask.
  private grow(): void {
    const capacity = this.parcels.length === 0 ? 4 : this.parcels.length * 2;
    const parcels: (Parcel | undefined)[] = new Array(capacity).fill(undefined);
    const bindings: (Binding | null)[] = new Array(capacity).fill(null);
    for (let index = 0; index < this.length; index++) {
      const from = (this.head + index) & this.mask;
      parcels[index] = this.parcels[from];
      bindings[index] = this.bindings[from] as Binding | null;
    }
    this.parcels = parcels;
    this.bindings = bindings;
    this.head = 0;
  }
}

const IDLE_CAPACITY = 16384;
