import { basename } from 'node:path';
import process from 'node:process';
import { copies, isOfOtherCopy } from '../base/other-copy.ts';
import { Bus } from '../bus/bus.ts';
import { programName } from '../bus/identity.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { ACCESS_NAME } from '../system/socket-folder.ts';
import { kindOf, notABus } from './not-a-bus.ts';

const MAX_BUS_NUMBER = 0xffff_ffff;

/**
 * Checks what a program gave as a bus: a number, a Bus, or a transport; and the name of an access point. Throws a
 * TypeError, or EINVAL.
 */
export function checkWhere(where: unknown, access: string | undefined): void {
  if (access !== undefined && typeof where !== 'number') {
    throw new TypeError('only a bus of a daemon has access points: give its number');
  }
  if (where instanceof Bus || typeof where === 'function') return;
  if (isOfOtherCopy(Bus, where)) {
    throw new TypeError(
      `the Bus and the Ksock come from two copies of kbus, which can't share a bus in one process: ${copies(where as object)}; install one copy only`,
    );
  }
  if (
    typeof where !== 'number' ||
    !Number.isInteger(where) ||
    where < 0 ||
    where > MAX_BUS_NUMBER
  ) {
    throw notABus(where, whyNotABus(where));
  }
  if (access !== undefined && !ACCESS_NAME.test(access)) {
    const meaning = 'the name of an access point has 1 to 32 letters, digits, "_" and "-"';
    throw new KbusError('open', Errno.EINVAL, `open access point ${JSON.stringify(access)}`, {
      meaning,
    });
  }
}

function whyNotABus(where: unknown): string {
  if (typeof where === 'number') {
    return `a bus number is a whole number from 0 to ${MAX_BUS_NUMBER}`;
  }
  return `give the number of a bus, a Bus of this process, or a transport, not ${kindOf(where)}`;
}

/** The name that a program has for others: this one, or its file name. */
export function ownName(name: string = basename(process.argv[1] ?? process.argv0)): string {
  return programName(name);
}
