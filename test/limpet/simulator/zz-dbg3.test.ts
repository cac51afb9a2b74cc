import { it } from 'vitest';
import { Random } from '../../../harness/random.mjs';
import { drawWeather, World } from './world.ts';
import { Hub } from '../../../src/limpet/hub/hub.ts';
import { Streams } from '../../../src/limpet/hub/streams.ts';
it('x', () => {
const seed = Number(process.env['S']); const tag = process.env['TAG']!; const O = Number(process.env['O']);
const P: any = Hub.prototype;
for (const m of ['heard', 'deliver', 'carryOut','joinBus']) { const o = P[m]; P[m] = function (...a: any[]) { const msg = m === 'carryOut' ? a[1].message : a[0]; if (m==='joinBus' || [tag, process.env['TAG2']].includes(msg.text())) console.log(m, 'at', this.address.id, this.address.life, 'ksock', this.ksockId, String(msg), m === 'carryOut' ? a[1].n : ''); return o.apply(this, a); }; }
const rec = P.received; P.received = function (link: any, f: any) { if (f.origin?.id === O && f.kind !== 'acknowledge') console.log('   rx at', this.address.id+'.'+this.address.life, 'from', link.key, JSON.stringify(f.kind==='entries' ? {entries: f.entries.map((e: any)=>e.n+'='+e.message.text())} : f)); return rec.call(this, link, f); };
void Streams;
const r = new Random(seed); const w = drawWeather(r); const world: any = new World(r, w);
for (const b of world.berths) console.log('berth', b.id, 'bowl', b.bowl.number);
console.log('----');
const k = world.kill; world.kill = function (b: any) { console.log('KILL', b.id, b.limpet.hub.isOnBus); return k.call(this, b); };
const st = world.start; world.start = function (b: any) { st.call(this, b); console.log('START', b.id, b.limpet.hub.address.life); };
try { world.run(); } catch (e: any) { console.log(e.message.slice(0,1500)); }
});
