import { bytes, count, counted, duration } from '../base/units.ts';
import type { Message } from '../message/message.ts';
import { remark } from './output.ts';
import { table } from './table.ts';

/** Messages of so many names are counted by name, and of so many the rates are printed. */
const MAX_NAMES = 10_000;
const MAX_PRINTED_NAMES = 8;

/** Counts messages, for the rates at the end. */
export class Heard {
  private readonly since = performance.now();
  private readonly all = { messages: 0, bytes: 0 };
  private readonly byName = new Map<string, { messages: number; bytes: number }>();

  add({ name, dataLength }: Message): void {
    let named = this.byName.get(name);
    if (named === undefined) {
      named = { messages: 0, bytes: 0 };
      if (this.byName.size < MAX_NAMES) this.byName.set(name, named);
    }
    for (const one of [this.all, named]) {
      one.messages++;
      one.bytes += dataLength;
    }
  }

  /** Prints the rates on stderr. One message has none. */
  report(): void {
    const { messages } = this.all;
    if (messages < 2) return;
    const ms = performance.now() - this.since;
    const rates = (one: { messages: number; bytes: number }): string[] => [
      `${count((one.messages * 1000) / ms)}/s`,
      `${bytes((one.bytes * 1000) / ms)}/s`,
    ];
    const told = `${counted(messages, 'message')}, ${bytes(this.all.bytes)} of data in ${duration(ms)}`;
    remark(`${told}: ${rates(this.all).join(', ')}`);
    if (this.byName.size < 2) return;
    const most = [...this.byName].sort(([, a], [, b]) => b.messages - a.messages);
    const rows = most
      .slice(0, MAX_PRINTED_NAMES)
      .map(([name, one]) => [name, count(one.messages), ...rates(one)]);
    const align = 'right';
    const columns = [
      { heading: 'name', max: 40 },
      ...['messages', 'rate', 'data'].map((heading) => ({ heading, align }) as const),
    ];
    for (const line of table(columns, rows)) remark(`  ${line}`);
    const others = this.byName.size - rows.length;
    if (others > 0)
      remark(
        `  and ${this.byName.size < MAX_NAMES ? counted(others, 'other name') : 'many other names'}`,
      );
  }
}
