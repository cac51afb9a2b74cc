import { it } from 'vitest';
import { simulate } from '/work/limpet/test/limpet/simulator/world.ts';
it('x', {timeout:3600000}, () => {
const first=Number(process.env.F??1), n=Number(process.env.N??100);
let bad=0; const why:any={}; const tot:any={};
for(let s=first;s<first+n;s++){ try{ const f:any=simulate(s); for(const k of ['announcements','deliveries','requests','cuts','deaths','missed']) tot[k]=(tot[k]??0)+f[k]; for(const [k,v] of Object.entries(f.statuses)) tot[k]=(tot[k]??0)+(v as number); }catch(e:any){ bad++; if(bad<6) console.log(s, e.stack.split('\n').slice(0,6).join('\n')); const k=e.message.replace(/\d+/g,'N').slice(0,60); (why[k]??=[]).push(s);} }
for(const k of Object.keys(why)) console.log(k, why[k].length, why[k].slice(0,8).join(','));
console.log(JSON.stringify({bad,n,tot}));
});
