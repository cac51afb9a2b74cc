import { escaped } from '../../base/escape.ts';
import type { BindingInfo, KsockInfo, TapEvent } from '../../tap/events.ts';

/** Programs that have left are remembered, so that their messages keep a name; of more, the first ones are forgotten. */
const MAX_PROGRAMS = 5000;

/** Each Limpet replies for this and its network id, with a report of itself (docs/limpets.md). */
export const LIMPET_NAME = '$.KBUS.Limpet.At.';

/** The Ksock id of what KBUS itself sends. */
export const KBUS = 0;

export interface Program {
  readonly ksock: number;
  /** Name of the program, safe to show; '' if it has none. */
  readonly name: string;
  readonly pid: number;
  hasLeft: boolean;
  /** Its network id, if it is a Limpet: a link to other buses. */
  limpet: number | null;
}

/** Who uses, or used, which Ksock. */
export class Programs {
  private readonly programs = new Map<number, Program>();

  apply(event: TapEvent): void {
    switch (event.type) {
      case 'begin':
        for (const program of this.programs.values()) program.hasLeft = true;
        break;
      case 'ksock':
      case 'opened':
        this.add(event);
        break;
      case 'binding':
      case 'bound':
        this.bound(event);
        break;
      case 'closed': {
        const program = this.programs.get(event.ksock);
        if (program !== undefined) program.hasLeft = true;
        break;
      }
    }
  }

  private add({ ksock, pid, program }: KsockInfo): void {
    const name = escaped(program);
    const known = this.programs.get(ksock);
    const limpet = known?.name === name && known.pid === pid ? known.limpet : null;
    this.programs.set(ksock, { ksock, name, pid, hasLeft: false, limpet });
    if (this.programs.size <= MAX_PROGRAMS) return;
    for (const [id, { hasLeft }] of this.programs) {
      if (!hasLeft) continue;
      this.programs.delete(id);
      break;
    }
  }

  private bound({ ksock, name, replier }: BindingInfo): void {
    const program = this.programs.get(ksock);
    if (program === undefined || !replier || !name.startsWith(LIMPET_NAME)) return;
    const id = Number(name.slice(LIMPET_NAME.length));
    if (Number.isInteger(id)) program.limpet = id;
  }

  get(ksock: number): Program | undefined {
    return this.programs.get(ksock);
  }

  /** All that are on the bus now, in the order of their ids. */
  get present(): Program[] {
    return [...this.programs.values()]
      .filter(({ hasLeft }) => !hasLeft)
      .sort((a, b) => a.ksock - b.ksock);
  }

  /** A short name: `logger`, or `Ksock 7`. */
  nameOf(ksock: number): string {
    if (ksock === KBUS) return 'KBUS';
    const program = this.programs.get(ksock);
    if (program?.limpet != null) return `Limpet ${program.limpet}`;
    return program === undefined || program.name === '' ? `Ksock ${ksock}` : program.name;
  }

  /** `logger (Ksock 3, pid 812)`. */
  whoIs(ksock: number): string {
    if (ksock === KBUS) return 'KBUS';
    const program = this.programs.get(ksock);
    const name = this.nameOf(ksock);
    const parts = [
      name === `Ksock ${ksock}` ? '' : `Ksock ${ksock}`,
      program === undefined || program.pid === 0 ? '' : `pid ${program.pid}`,
      program?.hasLeft === true ? 'has left' : '',
    ].filter((part) => part !== '');
    return parts.length === 0 ? name : `${name} (${parts.join(', ')})`;
  }
}
