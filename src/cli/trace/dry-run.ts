import { escaped } from '../../base/escape.ts';
import { count } from '../../base/units.ts';
import type { Tap } from '../../client/tap.ts';
import { faultOfName } from '../../message/name.ts';
import { type Party, recipientsOf } from '../../seeing/recipients.ts';
import { whoOf } from '../../seeing/who.ts';
import { BusView } from '../../tap/bus-view.ts';
import { answered, type BusOptions } from '../bus-options.ts';
import { Exit, Failure } from '../failure.ts';
import { openTap } from '../open-tap.ts';
import { print, printJson } from '../output.ts';

/** Prints who would get a message of this name now, and who would not. */
export async function dryRun(name: string, options: BusOptions): Promise<void> {
  const fault = faultOfName(name, 'message');
  if (fault !== undefined) {
    throw new Failure(Exit.USAGE, `'${escaped(name)}' can't be sent: ${fault}`);
  }
  const tap = await openTap(options, { data: 0, kinds: [] });
  try {
    const view = await answered(stateOf(tap), options);
    const { listeners, near, others, replier } = recipientsOf(view, name);
    if (options.json) {
      await printJson({ name, replier, others, listeners, near });
      return;
    }
    const lines: string[] = [];
    const part = (heading: string, parties: readonly Party[], nobody = ''): void => {
      if (parties.length > 0) lines.push(heading, ...parties.map((party) => `  ${textOf(party)}`));
      else if (nobody !== '') lines.push(nobody);
    };
    const got = listeners.filter(({ why }) => why === '');
    const asked = replier === null || replier.why !== '' ? [] : [replier];
    const nobody = replier === null ? 'nobody: KBUS would refuse it with EADDRNOTAVAIL' : 'nobody';
    part(
      `a Request ${name} would be answered by`,
      asked,
      `a Request ${name} would be answered by ${nobody}`,
    );
    part(`a message ${name} would be heard by`, got, `a message ${name} would be heard by nobody`);
    const not = [
      ...(replier !== null && asked.length === 0 ? [replier] : []),
      ...others,
      ...listeners.filter(({ why }) => why !== ''),
      ...near,
    ];
    part('it would not go to', not);
    await print(`${lines.join('\n')}\n`);
  } finally {
    tap.close();
  }
}

/** The state of the bus, as it is now. */
async function stateOf(tap: Tap): Promise<BusView> {
  const view = new BusView();
  for await (const event of tap) {
    view.apply(event);
    if (event.type === 'ready') return view;
  }
  return view;
}

function textOf({ binding, ksock, why }: Party): string {
  const does = binding.replier ? 'replies to' : 'listens to';
  const queue = `${count(ksock.unread)} of ${count(ksock.maxMessages)} in its queue`;
  return `${whoOf(ksock)}, which ${does} ${binding.name}: ${why === '' ? queue : why}`;
}
