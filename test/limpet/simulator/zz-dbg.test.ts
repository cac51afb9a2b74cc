import { it } from 'vitest';
import { Random } from '../../../harness/random.mjs';
import { drawWeather, World } from './world.ts';
it('x', () => {
const seed = Number(process.env['S']); const r = new Random(seed); const w = drawWeather(r); const world: any = new World(r, w);
try { world.run(); } catch (e: any) { console.log(e.message.slice(0,1500)); }
console.log(JSON.stringify(w));
for (const b of world.berths) { const h = b.limpet?.hub; if (!h) continue;
 console.log('LIMPET', h.address.id, h.address.life, 'bowl', b.bowl.number, h.isOnBus, 'links', [...h.links].map((l: any) => `${l.number}->${l.key}${l.isCongested?'!':''}`).join(' '));
 for (const f of h.streams.inflows.values()) console.log('   ', f.key, 'up', f.upstream?.key, 'awaited', f.isAwaited, 'begun', f.hasBegun, 'have', f.have, 'next', f.next, 'asked', f.askedFrom, 'tok', f.token, 'subs', [...f.subscribers.values()].map((s: any)=>`${s.link.key}:${s.next}${s.isWaiting?'w':''}`).join(' '), 'acks', JSON.stringify([...f.acknowledged]));
 for (const k of h.topology.hubs.values()) console.log('      T', k.key, k.seq, k.links.map((l: any)=>`${l.peer.id}.${l.peer.life}/${l.cost}`).join(' '), 'path', h.topology.paths.get(k.key)?.first, h.topology.paths.get(k.key)?.cost);
}
});
