import { it } from 'vitest';
import { Random } from '../../../harness/random.mjs';
import { drawWeather, World } from './world.ts';
import { Hub } from '../../../src/limpet/hub/hub.ts';
it('x', () => {
const seed = Number(process.env['S']); const tag = process.env['TAG']!;
const P: any = Hub.prototype;
for (const m of ['heard', 'overheard', 'deliver', 'carryOut','joinBus']) { const o = P[m]; P[m] = function (...a: any[]) { const msg = m === 'carryOut' ? a[1].message : a[0]; if (m==='joinBus' || msg.text() === tag) console.log(m, 'at', this.address.id, this.address.life, 'ksock', this.ksockId, String(msg), m === 'carryOut' ? a[1].n : ''); return o.apply(this, a); }; }
const r = new Random(seed); const w = drawWeather(r); const world: any = new World(r, w);
for (const b of world.berths) console.log('berth', b.id, 'bowl', b.bowl.number);
const k = world.kill; world.kill = function (b: any) { console.log('KILL', b.id, b.limpet.hub.isOnBus); return k.call(this, b); };
try { world.run(); } catch (e: any) { console.log(e.message.slice(0,1500)); }
});
