import type { Outstanding, RequestRecord } from '../../src/bus/requests.ts';

/** All Requests that a Ksock sent and that are not answered. */
export function allOf(outstanding: Outstanding): RequestRecord[] {
  const all: RequestRecord[] = [];
  for (let record = outstanding.any(); record !== null; record = outstanding.any()) {
    all.push(record);
    outstanding.remove(record);
  }
  for (const record of all) outstanding.add(record);
  return all;
}
