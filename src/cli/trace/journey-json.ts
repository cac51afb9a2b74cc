import { codeOf } from '../../message/errno.ts';
import type { Journey } from '../../seeing/journeys.ts';
import type { Onward } from '../../seeing/tree.ts';

/** A message as JSON: it was sent at `time`, in milliseconds since 1970, and all times are milliseconds since then. */
export function journeyJson(journey: Journey, time: number, onward: readonly Onward[]): object {
  const { answer, at, copies, givenUp, sent, waitedAt, ...fields } = journey;
  const after = (us: number): number => (us - at) / 1000;
  return {
    ...fields,
    time: new Date(time).toISOString(),
    at: undefined,
    waited: waitedAt === null ? null : after(waitedAt),
    sent: sent && {
      how: sent.how,
      after: after(sent.at),
      ...(sent.errno !== 0 && { errno: codeOf(sent.errno) }),
    },
    copies: copies.map(({ bindingNumber, end: left, queuedAt, ...copy }) => ({
      ...copy,
      queued: after(queuedAt),
      end: left && { how: left.how, after: after(left.at) },
    })),
    answer: answer && {
      id: answer.id,
      status: answer.status,
      who: answer.who,
      after: after(answer.at),
    },
    givenUp: givenUp && {
      isTakenBack: givenUp.isTakenBack,
      hasLeft: givenUp.hasLeft,
      after: after(givenUp.at),
    },
    onward: onward.map(({ limpet, journey: there }) => ({
      limpet,
      ...journeyJson(there, time, []),
    })),
  };
}
