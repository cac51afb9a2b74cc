import { it } from 'vitest';
import { Random } from '../../../harness/random.mjs';
import { drawWeather, World } from './world.ts';
import { Hub } from '../../../src/limpet/hub/hub.ts';
it('x', () => {
const seed = Number(process.env['S']); 
const P: any = Hub.prototype;
const lines: string[] = [];
const rec = P.received; P.received = function (link: any, f: any) { if (f.origin && f.kind !== 'acknowledge') lines.push('   rx at '+ this.address.id+'.'+this.address.life+ ' from '+ link.key+' '+f.origin.id+' '+ JSON.stringify(f.kind==='entries' ? {entries: f.entries.map((e: any)=>e.n+'='+e.message.text())} : {...f, origin: undefined})+(link.isCongested?' CONG':'')); return rec.call(this, link, f); };
const d = P.drained; P.drained = function (l: any) { lines.push('drained at '+this.address.id+' '+l.key); return d.call(this, l); };
const o = P.lost; P.lost = function (inflow: any, c: any) { lines.push('LOST '+c+' at '+this.address.id+' of '+inflow.key); if (c>0) { const k=inflow.origin.id; console.log(lines.filter(x=>x.includes('LOST')||x.startsWith('drained')||x.includes(` ${k} {`)).slice(-60).join('\n')); throw new Error('stop'); } return o.call(this, inflow, c); };
const r = new Random(seed); const w = drawWeather(r); const world: any = new World(r, w);
for (const b of world.berths) console.log('berth', b.id, 'bowl', b.bowl.number);
try { world.run(); } catch (e: any) { console.log(e.message.slice(0,1500)); }
});
