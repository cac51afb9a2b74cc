import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { count } from '../../base/units.ts';
import { type Bowl, type Joint, jointsOf } from '../model/bowl.ts';
import { askAgain, bowls, watchBowls } from '../state/bowls.ts';
import { beats } from '../state/pulse.ts';
import { bus, hashOf, route, served } from '../state/route.ts';
import { Empty } from './empty.tsx';

/** More programs of a bus are counted. */
const MOST_NAMES = 8;

/** How far below its ends a link hangs, in pixels. */
const SAG = 46;

/** Bowls whose Limpets are less than this apart are one above the other: a link goes so far aside. */
const BESIDE = 60;
const AROUND = 215;

interface Line {
  readonly state: string;
  readonly path: string;
}

const textOf = (lines: readonly Line[]): string =>
  lines.map(({ path, state }) => `${path} ${state}`).join();

/** All buses as bowls, with their programs, and the links between them. */
export function Bowls() {
  void beats.value;
  const place = useRef<HTMLDivElement>(null);
  const lines = useSignal<readonly Line[]>([]);
  const all = bowls.value;
  const joints = jointsOf(all);
  const links = joints.filter(({ to }) => to !== null).length;
  const here = new Set(all.flatMap(({ limpets }) => limpets));
  const others = [
    ...new Set(joints.flatMap(({ to }) => (to === null || here.has(to) ? [] : [to]))),
  ].sort((a, b) => a - b);

  useEffect(() => {
    if (served.value !== '') return;
    const ended = new AbortController();
    void watchBowls(ended.signal);
    return () => ended.abort();
  }, []);

  useLayoutEffect(() => {
    const element = place.current as HTMLDivElement;
    const measure = (): void => {
      const next = linesOf(element, joints);
      if (textOf(next) !== textOf(lines.value)) lines.value = next;
    };
    measure();
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    return () => resized.disconnect();
  });

  return (
    <section class="bowls" aria-label="Buses">
      <div class="tools">
        <output class="muted" id="counts">
          {count(all.length)} {all.length === 1 ? 'bus' : 'buses'}, {count(links)}{' '}
          {links === 1 ? 'link' : 'links'}
        </output>
        {here.size > 0 && (
          <button
            type="button"
            onClick={askAgain}
            title="Sends each Limpet a Request, as kbus limpets does"
          >
            Ask the Limpets again
          </button>
        )}
      </div>
      <div class="scroll">
        <div class="picture" ref={place}>
          <svg class="joints" aria-hidden="true">
            {lines.value.map(({ path, state }) => (
              <path key={path} d={path} class={state} />
            ))}
          </svg>
          {all.map((bowl) => (
            <BowlOf key={bowl.bus} bowl={bowl} />
          ))}
          {others.map((id) => (
            <article key={`limpet ${id}`} class="bowl elsewhere">
              <h2>Another bus</h2>
              <p class="muted">not of this daemon, or not for your token</p>
              <p class="limpets">
                <span class="limpet" data-limpet={id}>
                  ⇄ Limpet {id}
                </span>
              </p>
            </article>
          ))}
        </div>
        {served.value !== '' && <Empty>A recording has one bus.</Empty>}
        {joints.length > 0 && <Joints joints={joints} />}
      </div>
    </section>
  );
}

function BowlOf({ bowl }: { bowl: Bowl }) {
  void beats.value;
  const { bus: number, fault, limpets, links, names, view } = bowl;
  const more = names.length - MOST_NAMES;
  return (
    <article class={`bowl ${number === bus.value ? 'chosen' : ''}`} data-bus={number}>
      <h2>
        <a href={hashOf({ ...route.value, bus: number, view: 'now', message: '' }) || '#'}>
          Bus {number}
        </a>
        <small class="muted">
          {count(view.ksocks.size)} {view.ksocks.size === 1 ? 'Ksock' : 'Ksocks'}
        </small>
      </h2>
      {fault !== '' && <p class="bad">{fault}</p>}
      <ul>
        {names.slice(0, MOST_NAMES).map(([name, ksocks]) => (
          <li key={name}>
            {name}
            {ksocks > 1 && <small class="muted"> ×{ksocks}</small>}
          </li>
        ))}
        {more > 0 && <li class="muted">and {count(more)} more</li>}
        {names.length === 0 && fault === '' && <li class="muted">nobody</li>}
      </ul>
      <p class="limpets">
        {limpets.map((id) => (
          <span
            key={id}
            class="limpet"
            data-limpet={id}
            title={links.get(id) ? undefined : 'It does not tell its links'}
          >
            ⇄ Limpet {id}
          </span>
        ))}
      </p>
    </article>
  );
}

/** The links as a table: what the picture has no room for. */
function Joints({ joints }: { joints: readonly Joint[] }) {
  return (
    <table class="joints">
      <thead>
        <tr>
          <th scope="col">Link</th>
          <th scope="col">State</th>
          <th scope="col">There and back</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        {joints.map((joint) => {
          const { ends, from, to } = joint;
          const trip = ends.find(({ roundTrip }) => roundTrip !== null)?.roundTrip;
          const why = ends.find((end) => end.why !== '')?.why ?? '';
          return (
            <tr key={`${from} ${to} ${ends[0]?.address}`}>
              <th scope="row">
                {to === null ? `Limpet ${from} ⇄ nobody` : `Limpet ${from} ⇄ Limpet ${to}`}
              </th>
              <td class={stateOf(joint)}>
                {[...new Set(ends.map(({ state }) => state))].join(', ')}
                {why !== '' && `: ${why}`}
              </td>
              <td class="number">{trip == null ? '' : `${trip.toFixed(2)} ms`}</td>
              <td>
                {[...new Set(ends.map(({ address, kind }) => `${kind} ${address}`))].join(', ')}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function stateOf({ ends }: Joint): 'good' | 'warn' | 'bad' {
  const states = ends.map(({ state }) => state);
  if (states.includes('lost')) return 'bad';
  return states.every((state) => state === 'up' || state === 'classic') ? 'good' : 'warn';
}

/** Where the links are drawn: from Limpet to Limpet, hanging down. */
function linesOf(place: HTMLElement, joints: readonly Joint[]): Line[] {
  const { left, top } = place.getBoundingClientRect();
  const at = (id: number): { x: number; y: number } | null => {
    const box = place.querySelector(`[data-limpet="${id}"]`)?.getBoundingClientRect();
    return box === undefined ? null : { x: box.left + box.width / 2 - left, y: box.bottom - top };
  };
  return joints.flatMap((joint) => {
    const [a, b] = [at(joint.from), joint.to === null ? null : at(joint.to)];
    if (a === null || b === null) return [];
    // Around the bowl, if it is right above.
    const aside = Math.abs(a.x - b.x) < BESIDE ? AROUND : 0;
    const [x1, x2] = [a.x + aside, b.x + aside];
    const path = `M${a.x} ${a.y}C${x1} ${a.y + SAG} ${x2} ${b.y + SAG} ${b.x} ${b.y}`;
    return [{ state: stateOf(joint), path }];
  });
}
