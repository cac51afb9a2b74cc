export type Sample = Record<string, number>;
export function median(values: readonly number[]): number;
export function quarters(values: readonly number[]): { second: number; last: number };
export const NOISE: Record<string, { least: number; part: number }>;
export function drifted(samples: readonly Sample[], judged: readonly string[]): string[];
