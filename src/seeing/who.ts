import { escaped } from '../base/escape.ts';
import type { KsockInfo } from '../tap/events.ts';

/** `Ksock 7 (thermostat, pid 812)`, safe to print. */
export function whoOf({ ksock, pid, program }: KsockInfo): string {
  const parts = [escaped(program), pid === 0 ? '' : `pid ${pid}`].filter((part) => part !== '');
  return parts.length === 0 ? `Ksock ${ksock}` : `Ksock ${ksock} (${parts.join(', ')})`;
}
