import { compact, count } from '../../base/units.ts';
import { labelOf, type Neighbour, neighboursOf } from '../model/matrix.ts';
import { model } from '../state/feed.ts';
import { filter, go, refine } from '../state/route.ts';

/** More are counted. */
const MOST = 10;

const WIDTH = 420;
const ROW = 44;
const BOX = { width: 112, height: 30 };
const MIDDLE = (WIDTH - BOX.width) / 2;

/** A program, who sends to it (at the left), and to whom it sends (at the right). */
export function Neighbourhood({ ksock }: { ksock: number }) {
  const { pairs, programs } = model.value;
  const { receivers, senders } = neighboursOf(pairs, programs, ksock);
  const rows = Math.max(1, Math.min(MOST, senders.length), Math.min(MOST, receivers.length));
  const height = rows * ROW + 8;
  const name = programs.whoIs(ksock);
  return (
    <aside class="detail" aria-label={`Neighbourhood of ${name}`}>
      <header>
        <h2>{name}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => refine({ ksock: 0 })}>
          ✕
        </button>
      </header>
      <svg class="neighbours" viewBox={`0 0 ${WIDTH} ${height}`} aria-hidden="true">
        {senders.slice(0, MOST).map((one, at) => (
          <Side
            key={one.ksock}
            one={one}
            y={topOf(at, senders.length, height)}
            isSender
            middle={height / 2}
          />
        ))}
        {receivers.slice(0, MOST).map((one, at) => (
          <Side
            key={one.ksock}
            one={one}
            y={topOf(at, receivers.length, height)}
            isSender={false}
            middle={height / 2}
          />
        ))}
        <Box x={MIDDLE} y={height / 2 - BOX.height / 2} ksock={ksock} isChosen />
      </svg>
      <List title="Gets messages from" all={senders} />
      <List title="Sends messages to" all={receivers} />
      <div class="tools">
        <button
          type="button"
          onClick={() => go({ view: 'sequence', filter: { ...filter.value, ksock } })}
        >
          Its sequence
        </button>
        <button
          type="button"
          onClick={() => go({ view: 'messages', filter: { ...filter.value, ksock } })}
        >
          Its messages
        </button>
      </div>
    </aside>
  );
}

function topOf(at: number, of: number, height: number): number {
  const rows = Math.min(MOST, of);
  return (height - rows * ROW) / 2 + at * ROW + (ROW - BOX.height) / 2;
}

interface SideProps {
  one: Neighbour;
  y: number;
  isSender: boolean;
  middle: number;
}

function Side({ isSender, middle, one, y }: SideProps) {
  const { ksock, pair } = one;
  const x = isSender ? 0 : WIDTH - BOX.width;
  const near = isSender ? BOX.width : WIDTH - BOX.width;
  const far = isSender ? MIDDLE : MIDDLE + BOX.width;
  const centre = y + BOX.height / 2;
  const width = 1 + Math.min(5, Math.log10(1 + pair.rate) * 1.6);
  return (
    <>
      <path
        class={pair.missed > 0 ? 'missed' : ''}
        d={`M ${near} ${centre} C ${(near + far) / 2} ${centre}, ${(near + far) / 2} ${middle}, ${far} ${middle}`}
        stroke-width={width}
      />
      <Box x={x} y={y} ksock={ksock} rate={pair.rate} />
    </>
  );
}

interface BoxProps {
  x: number;
  y: number;
  ksock: number;
  rate?: number;
  isChosen?: boolean;
}

function Box({ isChosen = false, ksock, rate, x, y }: BoxProps) {
  const { programs } = model.value;
  const isLimpet = programs.get(ksock)?.limpet != null;
  const label = labelOf(programs, ksock);
  return (
    <g class={`box ${isChosen ? 'chosen' : ''} ${isLimpet ? 'limpet' : ''}`}>
      <rect x={x} y={y} width={BOX.width} height={BOX.height} rx="5" />
      <text x={x + BOX.width / 2} y={y + (rate === undefined ? 19 : 13)}>
        {label.length > 16 ? `${label.slice(0, 15)}…` : label}
      </text>
      {rate !== undefined && (
        <text class="rate" x={x + BOX.width / 2} y={y + 25}>
          {compact(rate)}/s
        </text>
      )}
    </g>
  );
}

function List({ all, title }: { title: string; all: readonly Neighbour[] }) {
  const { programs } = model.value;
  return (
    <>
      <h3>
        {title} {all.length === 0 ? 'nobody' : count(all.length)}
      </h3>
      <ul class="plain">
        {all.map(({ ksock, pair }) => (
          <li key={ksock}>
            <button type="button" class="link" onClick={() => refine({ ksock })}>
              {labelOf(programs, ksock)}
            </button>
            <span class="muted">
              {compact(pair.rate)}/s, {count(pair.count)} in all
            </span>
            {pair.missed > 0 && <span class="bad">{count(pair.missed)} missed</span>}
          </li>
        ))}
      </ul>
    </>
  );
}
