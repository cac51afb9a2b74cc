import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { put, type Table, WideMap } from '../../src/base/wide-map.ts';
import { holds } from '../model/property.ts';

describe('A wide map', () => {
  it('behaves like a Map.', () => {
    const step = fc.record({ do: fc.constantFrom('set', 'set', 'delete', 'get'), at: fc.nat(30) });
    holds(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
        const wide = new WideMap<number, number>((key) => key % 5);
        const map = new Map<number, number>();
        for (const [number, each] of steps.entries()) {
          if (each.do === 'set') {
            wide.set(each.at, number);
            map.set(each.at, number);
          } else if (each.do === 'delete') expect(wide.delete(each.at)).toBe(map.delete(each.at));
          else expect(wide.get(each.at)).toBe(map.get(each.at));
          expect(wide.size).toBe(map.size);
        }
        expect([...wide.values()].sort()).toEqual([...map.values()].sort());
      }),
      200,
    );
  });

  it('takes the place of a Map that has become large, and spreads its entries.', () => {
    let table: Table<string, number> | null = null;
    for (let at = 0; at < 50_000; at++) table = put(table, `N${at}`, at);
    for (let at = 0; at < 50_000; at += 2) table = put(table, `N${at}`, -at);
    expect(table).toBeInstanceOf(WideMap);
    expect([table?.size, table?.get('N7'), table?.get('N8'), table?.get('N')]).toEqual([
      50_000,
      7,
      -8,
      undefined,
    ]);
    const { parts } = table as unknown as { parts: (Map<string, number> | undefined)[] };
    for (const part of parts) expect(part?.size).toBeLessThan(3 * (50_000 / parts.length));
  });
});
