import { useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import { compact, count, duration } from '../../base/units.ts';
import type { BindingInfo } from '../../tap/events.ts';
import { shortText } from '../model/data-view.ts';
import { type NameNode, treeOf } from '../model/name-tree.ts';
import { model, now } from '../state/feed.ts';
import { beats } from '../state/pulse.ts';
import { filter, go, refine } from '../state/route.ts';
import { Empty } from './empty.tsx';
import { Space } from './space.tsx';
import { Spark } from './spark.tsx';
import { useWindow } from './use-window.ts';

const COLUMNS = 6;

/** The tree of names: who listens and replies, and what came last. */
export function Names() {
  void beats.value;
  const closed = useSignal<ReadonlySet<string>>(new Set());
  const place = useRef<HTMLDivElement>(null);
  const { names } = model.value;
  const { text } = filter.value;
  const lines = useMemo(
    () => treeOf(names, (path) => closed.value.has(path), text),
    [names, names.version, closed.value, text],
  );
  const { first, last, onScroll, rowHeight } = useWindow(place, lines.length);
  const toggle = (path: string): void => {
    const next = new Set(closed.value);
    if (!next.delete(path)) next.add(path);
    closed.value = next;
  };
  return (
    <section class="names" aria-label="Names">
      <div class="tools">
        <input
          type="search"
          id="filter"
          aria-label="Search names"
          placeholder="Part of a name, or a wildcard"
          value={text}
          onInput={({ currentTarget }) => refine({ text: currentTarget.value })}
        />
        <output class="muted" id="counts">
          {count(names.size)} names
          {names.forgotten > 0 && `; ${count(names.forgotten)} that were not used are forgotten`}
        </output>
      </div>
      <div class="scroll" ref={place} onScroll={onScroll}>
        <table aria-rowcount={lines.length + 1} class="list">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Listens</th>
              <th scope="col">Replies</th>
              <th scope="col">In the last minute</th>
              <th scope="col">Last value</th>
              <th scope="col" class="number">
                Age
              </th>
            </tr>
          </thead>
          <tbody>
            <Space height={first * rowHeight} columns={COLUMNS} />
            {lines.slice(first, last).map((line, at) => (
              <NameRow
                key={line.path}
                line={line}
                index={first + at}
                isClosed={closed.value.has(line.path)}
                toggle={toggle}
              />
            ))}
            <Space height={(lines.length - last) * rowHeight} columns={COLUMNS} />
          </tbody>
        </table>
        {lines.length === 0 && (
          <Empty>
            {names.size === 0
              ? 'No name was used since the page was opened, and nobody is bound to one.'
              : 'No name has this in it.'}
          </Empty>
        )}
      </div>
    </section>
  );
}

interface NameRowProps {
  line: NameNode;
  index: number;
  isClosed: boolean;
  toggle: (path: string) => void;
}

function NameRow({ index, isClosed, line, toggle }: NameRowProps) {
  const { below, bound, depth, facts, isName, label, path } = line;
  const time = now();
  const unanswerable = facts?.unanswerable ?? 0;
  const sent = facts !== null && facts.count > 0;
  return (
    <tr aria-rowindex={index + 2} data-name={path}>
      <td class="name" style={{ paddingLeft: `${0.6 + depth * 1.1}rem` }}>
        {below > 0 ? (
          <button
            type="button"
            class="fold"
            aria-expanded={!isClosed}
            aria-label={`${path}: ${below} names below it`}
            onClick={() => toggle(path)}
          >
            {isClosed ? '▸' : '▾'}
          </button>
        ) : (
          <span class="fold" />
        )}
        {isName ? (
          <button
            type="button"
            class="link"
            title={`${path}: show its messages`}
            onClick={() =>
              go({
                view: 'messages',
                filter: {
                  ...filter.value,
                  text: facts === null ? path : `name:${path}`,
                },
              })
            }
          >
            {label}
          </button>
        ) : (
          <span class="muted">{label}</span>
        )}
        {below > 0 && isClosed && <small class="muted"> {below}</small>}
      </td>
      <td class="listens">
        <Bound
          bindings={bound.listeners}
          nobody={sent && bound.repliers.length === 0 ? 'nobody' : ''}
        />
      </td>
      <td class="replies">
        {unanswerable > 0 && bound.repliers.length === 0 ? (
          <span class="bad">nobody: asked {count(unanswerable)}×</span>
        ) : (
          <Bound bindings={bound.repliers} nobody="" />
        )}
      </td>
      <td class="rate">
        {facts !== null && sent && (
          <>
            <Spark counts={facts.line.at(time)} />
            <span>{compact(facts.line.rate(time))}/s</span>
          </>
        )}
      </td>
      <td class="value">
        {facts !== null && sent && `${shortText(facts.lastData, 80)}`}
        {facts !== null && facts.lastSize > facts.lastData.length && '…'}
      </td>
      <td class="number age">
        {facts !== null && facts.lastAt >= 0 && duration(Math.max(0, time - facts.lastAt) / 1000)}
      </td>
    </tr>
  );
}

function Bound({ bindings, nobody }: { bindings: readonly BindingInfo[]; nobody: string }) {
  const { programs } = model.value;
  const all = [...new Set(bindings.map(({ ksock }) => programs.nameOf(ksock)))];
  if (all.length === 0) return <span class="muted">{nobody}</span>;
  const title = bindings.map(({ ksock, name }) => `${programs.whoIs(ksock)}: ${name}`).join('\n');
  return (
    <span title={title}>
      {all.length > 2 && `${count(all.length)}: `}
      {all.slice(0, 5).join(', ')}
      {all.length > 5 && ' …'}
    </span>
  );
}
