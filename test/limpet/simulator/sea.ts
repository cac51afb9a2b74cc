import { Random } from '../../../harness/random.mjs';
import type { StoredMessage } from '../../../src/limpet/federation/engine.ts';
import { HeldFrames } from '../../../src/limpet/federation/held-frames.ts';
import type { WireMark } from '../../../src/limpet/federation/journal-codec.ts';
import { type Cursor, JournalReader } from '../../../src/limpet/federation/journal-reader.ts';
import { Outbox } from '../../../src/limpet/federation/outbox.ts';
import type { Frame } from '../../../src/limpet/hub/frame.ts';
import type { Link } from '../../../src/limpet/hub/link.ts';
import { linkOf } from '../../../src/limpet/hub/neighbours.ts';
import { Message } from '../../../src/message/message.ts';

/** What may go wrong in a run. */
export interface Weather {
  readonly members: number;
  readonly steps: number;
  /** Limpets are killed. */
  readonly kills: boolean;
  /** The stream throws away what is old; its server loses what came last. */
  readonly truncates: boolean;
  readonly losesTail: boolean;
  /** How many ids the stream remembers. */
  readonly window: number;
  readonly maxPayload: number;
  readonly maxBytes: number;
}

export function drawWeather(random: Random): Weather {
  const truncates = random.chance(0.3);
  return {
    members: 2 + random.below(15),
    steps: 200 + random.below(1500),
    kills: random.chance(0.5),
    truncates,
    losesTail: random.chance(0.2),
    // What the stream has thrown away, it remembers for as long as it may be stored again.
    window: truncates || random.chance(0.3) ? 1000 : 2,
    maxPayload: random.chance(0.3) ? 400 : 100_000,
    maxBytes: random.chance(0.2) ? 3000 : 1_000_000,
  };
}

/** Breaks the parts of a member, to see whether the checks notice. */
export interface Sabotage {
  readonly outbox?: (outbox: Outbox) => void;
  readonly reader?: (reader: JournalReader) => void;
  readonly held?: (held: HeldFrames) => void;
}

/** A stream that does what JetStream may do at its worst. */
export class SimulatedStream {
  messages: StoredMessage[] = [];
  first = 1;
  last = 0;
  private ids: [id: string, seq: number][] = [];
  private readonly window: number;

  constructor(window: number) {
    this.window = window;
  }

  store(subject: string, bytes: Uint8Array, id: string): number {
    const known = this.ids.find(([each]) => each === id);
    if (known !== undefined) return known[1];
    const seq = ++this.last;
    this.messages.push({ seq, subject, bytes });
    this.ids.push([id, seq]);
    if (this.ids.length > this.window) this.ids.shift();
    return seq;
  }

  truncate(count: number): void {
    this.messages.splice(0, count);
    this.first = this.messages[0]?.seq ?? this.last + 1;
  }

  /** The server has lost its power before it had written this. */
  loseTail(count: number): void {
    for (const { seq } of this.messages.splice(Math.max(0, this.messages.length - count))) {
      this.last = Math.min(this.last, seq - 1);
    }
    this.ids = this.ids.filter(([, seq]) => seq <= this.last);
    this.first = this.messages[0]?.seq ?? this.last + 1;
  }

  from(seq: number): StoredMessage | undefined {
    return this.messages.find((message) => message.seq >= seq);
  }
}

interface Wire {
  readonly from: Member;
  readonly to: Member;
  token: number;
  sent: number;
  received: number;
  marked: number;
  queue: Frame[];
  /** The link as each of its ends has it. */
  link: Link;
  farLink: Link;
}

interface Storing {
  readonly bytes: Uint8Array;
  readonly id: string;
}

/** One Limpet with its bus. The bus outlasts it. */
export class Member {
  readonly id: number;
  readonly sea: Sea;
  life = 0;
  address = { id: 0, life: 0 };
  outbox!: Outbox;
  reader!: JournalReader;
  held!: HeldFrames;
  cursor: Cursor | null = null;
  isUp = false;
  /** Where its reading of the stream goes on. */
  next = 0;
  storing: Storing | null = null;
  flushing: (() => void) | null = null;
  announced = 0;
  direct = 0;
  readonly wires = new Map<Member, Wire>();
  /** What its bus has heard: `sender.life:time`, and the time by sender and life. */
  readonly heard = new Set<string>();
  private readonly lastOf = new Map<string, number>();
  missed = 0;
  /** What it may be told as missed though it has it, or was told before: it was given that when its Limpet was killed. */
  doubtful = 0;

  constructor(id: number, sea: Sea) {
    this.id = id;
    this.sea = sea;
  }

  begin(): void {
    const { sea, id } = this;
    const { weather, sabotage } = sea;
    this.life++;
    this.address = { id, life: this.life };
    this.announced = 0;
    this.storing = null;
    this.flushing = null;
    const member = this;
    this.outbox = new Outbox(weather.maxBytes, null, {
      get maxPayload() {
        return member.isUp ? weather.maxPayload : 0;
      },
      marks: () => this.marks(),
      store: (bytes, each) => {
        if (this.storing !== null) throw new Error('two messages are on their way to the stream');
        this.storing = { bytes, id: each };
      },
      settledSince: (before) => {
        for (const wire of this.wires.values()) if (wire.link.after > before) this.tellAfter(wire);
      },
    });
    sabotage.outbox?.(this.outbox);
    const { life } = this;
    this.reader = new JournalReader(id, this.cursor, {
      deliver: (message) => this.hear(message.text().trimEnd(), true),
      refused: () => {
        throw new Error('this stream takes messages of any size');
      },
      missed: (count, from) => {
        if (from === id) throw new Error(`bus ${id} was told that it misses what is its own`);
        this.missed += count;
      },
      flush: (done) => {
        this.flushing = () => {
          if (this.life === life) done();
        };
      },
      save: (cursor) => {
        this.cursor = JSON.parse(JSON.stringify(cursor)) as Cursor;
      },
      hasCome: ({ token, count }, from) => {
        const wire = sea.member(from)?.wires.get(this);
        return wire?.token !== token || wire.received >= count;
      },
      moved: () => this.held.moved(),
      warn: (text) => {
        if (/can't be read/.test(text)) throw new Error(text);
      },
    });
    sabotage.reader?.(this.reader);
    this.held = new HeldFrames({
      pass: (_link, frame) => {
        if (frame.kind !== 'entries') return;
        for (const { message } of frame.entries) this.hear(message.text(), false);
      },
      flush: () => {},
      lastOf: (key) => this.reader.lastOf(key),
      get seq() {
        return member.reader.seq;
      },
      settle: (origin, number) => this.reader.settle(origin, number),
      fail: (link) => {
        for (const wire of sea.wires) if (wire.farLink === link) sea.breakWire(wire);
      },
    });
    sabotage.held?.(this.held);
  }

  private hear(text: string, isAnnouncement: boolean): void {
    if (this.heard.has(text)) throw new Error(`bus ${this.id} heard ${text} twice`);
    this.heard.add(text);
    const [sender = '', time = ''] = text.split(':');
    // Where the stream loses Announcements, only the order of the others is promised.
    const { truncates, losesTail } = this.sea.weather;
    const key = truncates || losesTail ? `${sender} ${isAnnouncement}` : sender;
    const last = this.lastOf.get(key) ?? 0;
    if (Number(time) <= last) {
      throw new Error(`bus ${this.id} heard ${text} after ${sender}:${last}`);
    }
    this.lastOf.set(key, Number(time));
    if (isAnnouncement) this.sea.heardInOrder(this, text);
    else this.sea.figures.direct++;
  }

  private text(): string {
    return `${this.id}.${this.life}:${++this.sea.time}`;
  }

  announce(): void {
    const text = this.text();
    const data = text.padEnd(this.sea.random.pick([text.length, 300, 1000]), ' ');
    this.outbox.append(this.address, ++this.announced, new Message('$.a', data), this.direct);
    this.sea.announcements.push({ text, by: this, life: this.life, number: this.announced });
    if (this.sea.random.chance(0.6)) this.outbox.flush();
  }

  /** Sends something directly, as a Request. */
  send(to: Member): void {
    const wire = this.wires.get(to);
    if (wire === undefined) return;
    this.direct++;
    if (this.announced > wire.link.after) {
      wire.link.after = this.announced;
      this.tellAfter(wire);
    }
    const message = new Message('$.b', this.text());
    const entry = { n: 1, heard: 1, message, dest: null, answers: 0, refusal: 0, after: 0 };
    this.write(wire, { kind: 'entries', origin: this.address, entries: [entry] });
  }

  private tellAfter(wire: Wire): void {
    const { after: announced } = wire.link;
    this.write(wire, { kind: 'after', announced, ...this.outbox.settled() });
  }

  private write(wire: Wire, frame: Frame): void {
    wire.queue.push(frame);
    wire.sent++;
  }

  private marks(): WireMark[] {
    const marks: WireMark[] = [];
    for (const wire of this.wires.values()) {
      if (wire.sent === wire.marked) continue;
      wire.marked = wire.sent;
      marks.push({ peer: wire.to.id, token: wire.token, count: wire.sent });
    }
    return marks;
  }

  up(): void {
    if (this.isUp) return;
    this.isUp = true;
    const { first, last } = this.sea.stream;
    this.next = this.reader.open({ created: 'then', first, last, differs: '' });
    this.outbox.retry();
  }

  lost(): void {
    this.isUp = false;
    if (this.storing !== null) this.sea.straying.push({ by: this, storing: this.storing });
    this.storing = null;
    this.outbox.failed();
  }

  kill(): void {
    if (this.storing !== null) this.sea.straying.push({ by: this, storing: this.storing });
    this.isUp = false;
    this.next = 0;
    this.noteDoubtful();
    this.begin();
    for (const wire of this.sea.wires) {
      if (wire.from === this || wire.to === this) this.sea.breakWire(wire);
    }
    this.sea.figures.kills++;
  }

  private noteDoubtful(): void {
    const { given = [], known = [] } = this.cursor ?? {};
    const before = new Map(known);
    for (const [key, first, last] of given) {
      this.doubtful += Math.max(0, last - (before.get(key) ?? first - 1));
    }
  }

  /** Takes the next message of the stream. False if there is none. */
  read(): boolean {
    const message = this.isUp ? this.sea.stream.from(this.next) : undefined;
    if (message === undefined) return false;
    this.next = message.seq + 1;
    this.reader.take(message);
    return true;
  }

  flush(): boolean {
    const { flushing } = this;
    this.flushing = null;
    flushing?.();
    return flushing !== null;
  }

  /** The stream takes what is on its way to it, or the answer is lost, or all of it. */
  store(isRough: boolean): boolean {
    const { storing, sea, id } = this;
    if (storing === null || !this.isUp) return false;
    this.storing = null;
    const fate = isRough ? sea.random.weighted({ stored: 10, answerLost: 1, lost: 1 }) : 'stored';
    if (fate !== 'lost') {
      const seq = sea.store(id, storing);
      if (fate === 'stored') {
        this.outbox.stored(seq);
        return true;
      }
    } else if (sea.random.chance(0.5)) sea.straying.push({ by: this, storing });
    this.outbox.failed();
    this.outbox.retry();
    return true;
  }
}

/** Buses of one federation of mode `stream`. */
export class Sea {
  readonly random: Random;
  readonly weather: Weather;
  readonly sabotage: Sabotage;
  readonly stream: SimulatedStream;
  readonly members: Member[] = [];
  readonly wires: Wire[] = [];
  time = 0;
  readonly announcements: { text: string; by: Member; life: number; number: number }[] = [];
  /** What was given up, and may come to the stream after all. */
  straying: { by: Member; storing: Storing }[] = [];
  private token = 1;
  /** The Announcements that each bus has heard, in its order. */
  private readonly orders = new Map<Member, string[]>();
  readonly figures = { heard: 0, direct: 0, kills: 0, missed: 0, stored: 0, breaks: 0, dropped: 0 };

  constructor(random: Random, weather: Weather, sabotage: Sabotage = {}) {
    this.random = random;
    this.weather = weather;
    this.sabotage = sabotage;
    this.stream = new SimulatedStream(weather.window);
    for (let id = 1; id <= weather.members; id++) this.members.push(new Member(id, this));
    for (const member of this.members) {
      member.begin();
      this.orders.set(member, []);
    }
    for (const from of this.members) {
      for (const to of this.members) {
        if (from === to) continue;
        const link = linkOf(0, to.address, 1024, ['$.*'], 1);
        const farLink = linkOf(0, from.address, 1024, ['$.*'], 1);
        const state = { token: 0, sent: 0, received: 0, marked: 0, queue: [] };
        const wire = { from, to, link, farLink, ...state };
        this.wires.push(wire);
        from.wires.set(to, wire);
        this.breakWire(wire);
      }
    }
    // A bus hears what comes after it has joined.
    for (const member of this.members) member.up();
  }

  member(id: number): Member | undefined {
    return this.members[id - 1];
  }

  store(id: number, { bytes, id: each }: Storing): number {
    this.figures.stored++;
    return this.stream.store(`kbus.plant.stream.${id}`, bytes, each);
  }

  heardInOrder(member: Member, text: string): void {
    this.figures.heard++;
    this.orders.get(member)?.push(text);
  }

  /** What is on its way there is lost; another wire takes its place at once. */
  breakWire(wire: Wire): void {
    wire.to.held.linkDown(wire.farLink);
    wire.token = this.token++;
    wire.sent = wire.received = wire.marked = 0;
    wire.queue = [];
    wire.link = linkOf(0, wire.to.address, 1024, ['$.*'], 1);
    wire.farLink = linkOf(0, wire.from.address, 1024, ['$.*'], 1);
  }

  private deliver(wire: Wire): boolean {
    const frame = wire.queue.shift();
    if (frame === undefined) return false;
    wire.received++;
    wire.to.held.received(wire.farLink, frame);
    wire.to.reader.pump();
    return true;
  }

  run(): void {
    for (let at = 0; at < this.weather.steps; at++) this.step();
    this.calm();
    this.check();
  }

  private step(): void {
    const { random, weather } = this;
    const member = random.pick(this.members);
    const what = random.weighted({
      announce: 20,
      send: 10,
      store: 25,
      read: 40,
      flush: 20,
      deliver: 30,
      tick: 3,
      up: 8,
      lost: 1,
      breakWire: 0.5,
      stray: 2,
      again: 2,
      pause: 1,
      kill: weather.kills ? 0.5 : 0,
      truncate: weather.truncates ? 0.5 : 0,
      loseTail: weather.losesTail ? 0.2 : 0,
    });
    switch (what) {
      case 'announce':
        member.announce();
        return;
      case 'send': {
        const to = random.pick(this.members);
        if (to !== member) member.send(to);
        return;
      }
      case 'store':
        member.store(true);
        return;
      case 'read':
        member.read();
        return;
      case 'flush':
        member.flush();
        return;
      case 'deliver':
        this.deliver(random.pick(this.wires));
        return;
      case 'tick':
        member.reader.tick();
        member.held.tick();
        return;
      case 'up':
        member.up();
        return;
      case 'lost':
        if (member.isUp) member.lost();
        return;
      case 'breakWire':
        this.figures.breaks++;
        this.breakWire(random.pick(this.wires));
        return;
      case 'stray': {
        const stray = this.straying.splice(random.below(this.straying.length + 1), 1)[0];
        if (stray !== undefined) this.store(stray.by.id, stray.storing);
        return;
      }
      case 'again': {
        // The server delivers a message again.
        const message = random.pick([...this.stream.messages, undefined]);
        if (message !== undefined && message.seq < member.next) member.reader.take(message);
        return;
      }
      case 'pause':
        member.reader.isPaused = !member.reader.isPaused;
        member.reader.pump();
        return;
      case 'kill':
        member.kill();
        return;
      case 'truncate':
        this.stream.truncate(random.below(10));
        return;
      case 'loseTail':
        this.stream.loseTail(1 + random.below(4));
        for (const each of this.members) if (each.isUp) each.lost();
        return;
    }
  }

  /** Nothing goes wrong any more. */
  private calm(): void {
    for (const { by, storing } of this.straying.splice(0)) this.store(by.id, storing);
    for (let round = 0; round < 40; round++) {
      for (const member of this.members) {
        member.reader.isPaused = false;
        member.up();
        if (round === 20) member.announce();
        member.outbox.retry();
        member.reader.tick();
        member.held.tick();
      }
      let isBusy = true;
      for (let turn = 0; isBusy; turn++) {
        if (turn > 100_000) throw new Error('it does not become quiet');
        isBusy = false;
        for (const member of this.members) {
          while (member.store(false)) isBusy = true;
          while (member.read()) isBusy = true;
          if (member.flush()) isBusy = true;
        }
        for (const wire of this.wires) while (this.deliver(wire)) isBusy = true;
      }
    }
  }

  private check(): void {
    const { weather, figures } = this;
    for (const { outbox } of this.members) figures.dropped += outbox.dropped;
    const isLossless =
      !weather.kills && !weather.truncates && !weather.losesTail && figures.dropped === 0;
    for (const member of this.members) {
      figures.missed += member.missed;
      const top = new Map<string, number>();
      for (const { text, by, life, number } of this.announcements) {
        if (member.heard.has(text)) top.set(`${by.id}.${life}`, number);
      }
      let unheard = 0;
      let unknown = 0;
      for (const { text, by, life, number } of this.announcements) {
        if (by === member || member.heard.has(text)) continue;
        // Of a Limpet that was killed, nobody knows what it announced last.
        const isKnown = life === by.life || number < (top.get(`${by.id}.${life}`) ?? 0);
        if (isKnown) unheard++;
        else unknown++;
      }
      if (unheard > member.missed) {
        throw new Error(
          `bus ${member.id} lacks ${unheard} messages, and was told of ${member.missed}`,
        );
      }
      // Where the stream goes back, readers may count what is stored again later.
      if (!weather.losesTail && member.missed > unheard + unknown + member.doubtful) {
        throw new Error(
          `bus ${member.id} lacks ${unheard} messages, and was told of ${member.missed}`,
        );
      }
      if (isLossless && member.missed > 0) {
        throw new Error(
          `bus ${member.id} was told of ${member.missed} messages, and nothing was lost`,
        );
      }
    }
    // What the stream has lost may be stored again, elsewhere in the order.
    if (!weather.losesTail) this.checkOrder();
  }

  /** Whatever two buses have both heard, they have heard in one order. */
  private checkOrder(): void {
    for (const one of this.members) {
      const places = new Map(this.orders.get(one)?.map((text, place) => [text, place]));
      for (const other of this.members) {
        let last = -1;
        for (const text of this.orders.get(other) ?? []) {
          const place = places.get(text);
          if (place === undefined) continue;
          if (place < last) throw new Error(`buses ${one.id} and ${other.id} differ about ${text}`);
          last = place;
        }
      }
    }
  }
}

/** A run from its seed; throws what is wrong. */
export function simulate(seed: number, sabotage?: Sabotage): Sea['figures'] {
  const random = new Random(seed);
  const sea = new Sea(random, drawWeather(random), sabotage);
  sea.run();
  return sea.figures;
}
