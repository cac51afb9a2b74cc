import type { Hub } from './hub/hub.ts';
import { federationAddress, linksOf } from './hub/topology.ts';

/**
 * What the stream of a federation does not reach, in words; '' if it reaches all. Only the Limpet that speaks for its bus reads the
 * stream, and it passes Announcements on to its bus only.
 */
export function outOfReach({ topology, neighbours, isOnBus }: Hub, federation: number): string {
  const federated = new Set<string>();
  const siblings: string[] = [];
  for (const link of neighbours.links) {
    if (link.federation === 0) siblings.push(link.key);
    else federated.add(link.key);
  }
  if (!isOnBus) {
    // Out of reach itself, it can't tell.
    if (federated.size === 0) return '';
    // The only sibling of a Limpet that stands by is the one that speaks.
    const [speaker] = siblings.flatMap((key) => topology.hubs.get(key) ?? []);
    const { life } = federationAddress(federation);
    if (
      speaker === undefined ||
      speaker.links.some(({ peer }) => peer.id === 0 && peer.life === life)
    )
      return '';
    const { id } = speaker.hub;
    return `no Announcement goes from this bus to the stream, or comes from it: Limpet ${id} speaks for the bus, and is not in the federation; start this Limpet first`;
  }
  const beyond = [...topology.paths.values()]
    .filter((path) => linksOf(path) > 0 && !federated.has(path.first))
    .map(({ hub }) => hub.hub.id)
    .sort((a, b) => a - b);
  if (beyond.length === 0) return '';
  const who = `Limpet${beyond.length > 1 ? 's' : ''} ${beyond.join(', ')}`;
  return `no Announcement goes from the stream to ${who}, or the reverse: another Limpet of this bus is joined with ${beyond.length > 1 ? 'them' : 'it'}; let ${beyond.length > 1 ? 'their buses' : 'that bus'} join the federation`;
}
