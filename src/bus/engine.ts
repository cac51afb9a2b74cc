import { Admission } from './admission.ts';
import { BindReports } from './bind-reports.ts';
import { Bindings } from './bindings.ts';
import { BusState } from './bus-state.ts';
import { Delivery } from './delivery.ts';
import { Departure } from './departure.ts';
import { GivingUp } from './giving-up.ts';
import { Queueing } from './queueing.ts';
import { Reading } from './reading.ts';
import { RoomWaits } from './room-waits.ts';
import { Sendable } from './sendable.ts';
import { Switches } from './switches.ts';
import { Watchers } from './watchers.ts';

/** The parts of a bus, put together. Each carries out one section of the specification on the state that they share. */
export class Engine extends BusState {
  /** @internal */
  readonly room = new RoomWaits(this);
  /** @internal */
  readonly queueing = new Queueing(this, this.room);
  /** @internal */
  readonly admission = new Admission(this);
  /** @internal */
  readonly sendable = new Sendable(this, this.admission);
  /** @internal */
  readonly delivery = new Delivery(this, this.room, this.queueing, this.admission);
  /** @internal */
  readonly givingUp = new GivingUp(this, this.room, this.queueing);
  /** @internal */
  readonly bindReports = new BindReports(this, this.queueing);
  /** @internal */
  readonly reading = new Reading(this, this.room, this.queueing, this.bindReports);
  /** @internal */
  readonly bindings = new Bindings(this, this.room, this.queueing, this.bindReports);
  /** @internal */
  readonly departure = new Departure(
    this,
    this.room,
    this.queueing,
    this.bindings,
    this.bindReports,
  );
  /** @internal */
  readonly watchers = new Watchers(this);
  /** @internal */
  readonly switches = new Switches(this, this.room, this.bindReports, this.watchers);
}
