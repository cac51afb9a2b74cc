import { Flag } from './flags.ts';
import type { Head } from './head.ts';
import { OrigFrom } from './id.ts';

/** For so many senders of one name, the heads of their messages are kept. */
const MAX_SENDERS = 8;

/** By head: those that were made of it, one for each sender. */
const made = new WeakMap<Head, Head[]>();

/**
 * The head that a message of the Ksock `sender` has on other buses than that of the Limpet with this network id (spec 3 §2). The
 * same heads come again and again, so it is kept.
 */
export function carriedHead(head: Head, network: number, sender: number): Head {
  const known = made.get(head);
  return (
    known?.find(({ origFrom }) => origFrom.localId === sender && origFrom.networkId === network) ??
    makeHead(head, network, sender)
  );
}

function makeHead(head: Head, network: number, sender: number): Head {
  const carried = head.with({
    idNetwork: head.idNetwork === 0 ? network : head.idNetwork,
    origFrom: head.origFrom.networkId === 0 ? new OrigFrom(network, sender) : head.origFrom,
    flags: (head.flags & ~Flag.WANT_YOU_TO_REPLY) >>> 0,
  });
  // A head that has an origin is not shared by messages.
  if (head.origFrom.networkId !== 0) return carried;
  const known = made.get(head);
  if (known === undefined) made.set(head, [carried]);
  else if (known.unshift(carried) > MAX_SENDERS) known.pop();
  return carried;
}
