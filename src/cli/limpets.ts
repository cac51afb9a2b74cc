import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import type { Ksock } from '../client/ksock.ts';
import { REPORT } from '../limpet/bus-side.ts';
import type { LimpetReport, LinkReport } from '../limpet/report.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { untilEnded } from './ending.ts';
import { print, printJson } from './output.ts';

/** How long a Limpet may take to answer. */
const PATIENCE_MS = 2000;

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Asks each Limpet of the bus. The states of a link: up, standby (another path is in use), classic, waiting (nobody has
connected), lost.

Examples:
  kbus limpets
  kbus limpets --bus 1 --json`,
    )
    .action(limpets);
}

async function limpets(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options);
  const bindings = await untilEnded(ksock.readBindings());
  const names = bindings.filter(({ name, replier }) => replier && name.startsWith(REPORT));
  const ids = names.map(({ name }) => Number(name.slice(REPORT.length))).sort((a, b) => a - b);
  if (ids.length === 0 && !options.json) {
    await print(`no Limpet is on bus ${options.bus}; kbus limpet --help says how to start one\n`);
  }
  for (const id of ids) {
    const report = await reportOf(ksock, id);
    if (options.json) await printJson(report ?? { id, silent: true });
    else if (report === null) await print(`Limpet ${id}: does not answer\n`);
    else await print(textOf(report));
  }
}

async function reportOf(ksock: Ksock, id: number): Promise<LimpetReport | null> {
  try {
    const asked = ksock.request(`${REPORT}${id}`, null, { timeout: PATIENCE_MS });
    return (await untilEnded(asked)).json() as LimpetReport;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

function textOf(report: LimpetReport): string {
  const { id, isSpeaker, sent, received, missed, duplicates, refused, late, inFlight, kept } =
    report;
  const role = isSpeaker ? 'speaks for the bus' : 'stands by';
  const lines = [
    `Limpet ${id}: ${role}; sent ${sent}, received ${received}, missed ${missed}, duplicates ${duplicates}, refused ${refused}, late ${late}, in flight ${inFlight}, kept ${kept} bytes`,
    ...report.links.map((link) => `    link ${linkText(link)}`),
    ...report.paths.map(({ id: to, links, by, repliers }) => {
      const way = by === to ? '' : ` by ${by}`;
      return `    path to Limpet ${to}: ${links} ${links === 1 ? 'link' : 'links'}${way}, ${repliers} ${repliers === 1 ? 'Replier' : 'Repliers'}`;
    }),
  ];
  return `${lines.map(escaped).join('\n')}\n`;
}

function linkText(link: LinkReport): string {
  const { kind, address, state, peer, roundTrip, why, bytesSent, bytesReceived, stream } = link;
  const parts = [`${kind} ${address}: ${state}`];
  if (peer !== undefined) parts.push(`Limpet ${peer}`);
  if (typeof roundTrip === 'number') parts.push(`${roundTrip.toFixed(2)} ms`);
  if (bytesSent !== undefined) parts.push(`${bytesSent} bytes sent, ${bytesReceived} received`);
  if (link.sent !== undefined) {
    parts.push(`${link.sent} sent, ${link.received} received`);
    parts.push(`${link.duplicates} duplicates, ${link.unfit} unfit`);
  }
  if (stream !== undefined) {
    const { name, position, waiting, dropped, trouble, beyond } = stream;
    parts.push(`stream ${name} read to ${position}, ${waiting} bytes wait for it`);
    if (dropped > 0) parts.push(`${dropped} dropped`);
    if (trouble !== '' && trouble !== why) parts.push(trouble);
    if (beyond !== '') parts.push(beyond);
  }
  if (why) parts.push(why);
  return parts.join(', ');
}
