import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import type { AccessReport } from '../message/reports.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';
import { table } from './table.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Prints the access points of a bus: who may use each (mode, owner and group of its file), what its users may do,
and the names that they may send, listen to and reply for. The rights are read (listen), write (send), reply (be
a Replier), observe (see bindings and stats) and manage (settings of the bus, new buses, kbus kick). A line
"pages" says how to get the address with the token that gives these rights to pages.
Without the right to observe or to manage, it prints the access point of this command only.
Access points are set in the configuration file of kbus serve, in tables [[access]].

Examples:
  kbus access
  kbus access --bus 1 --json
  kbus access --access guest`,
    )
    .action(access);
}

async function access(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  const points = await answered(ksock.accessPoints(), options);
  if (options.json) for (const point of points) await printJson(point);
  else await print(await printAccess(points));
}

/** How its user learns the address of the page. */
function webCommand({ name }: AccessReport): string {
  return name === '' ? 'kbus web' : `kbus web --access ${name}`;
}

const HEADINGS = ['access', 'bus', 'mode', 'owner', 'group', 'rights', 'file'];

/** A row for each access point, and below it a row for each list of names. */
async function printAccess(points: readonly AccessReport[]): Promise<string> {
  const { groupName, userName } = await import('../system/group.ts');
  const rows = points.map((point) => [
    point.name === '' ? '-' : point.name,
    String(point.device),
    point.mode,
    point.owner === null ? '' : userName(point.owner),
    point.group === null ? '' : groupName(point.group),
    point.rights.join(' '),
    point.path,
  ]);
  const [headings = '', ...linesOf] = table(
    HEADINGS.map((heading) => ({ heading })),
    rows,
  );
  const lines = [headings];
  for (const [at, point] of points.entries()) {
    lines.push(linesOf[at] as string);
    for (const list of ['send', 'listen', 'reply'] as const) {
      const names = point[list];
      if (names !== null) lines.push(escaped(`    ${list} only ${names.join(' ')}`));
    }
    if (point.web !== '') lines.push(`    pages: ${webCommand(point)}`);
  }
  return `${lines.join('\n')}\n`;
}
