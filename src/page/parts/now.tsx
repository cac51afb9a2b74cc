import { bytes, compact, count, duration } from '../../base/units.ts';
import { bottleneckOf } from '../../seeing/bottleneck.ts';
import type { KsockTraffic } from '../../seeing/traffic.ts';
import { connection, model, traffic } from '../state/feed.ts';
import { filter, go, refine } from '../state/route.ts';
import { Empty } from './empty.tsx';

/** Who is on the bus, how much each has to do, and who holds the others up. */
export function Now() {
  const seen = traffic.value;
  const { ksock, text } = bottleneckOf(seen);
  const search = filter.value.text.trim().toLowerCase();
  const shown = [...seen.ksocks]
    .filter(({ info }) => fits(info.ksock, info.pid, search))
    .sort((a, b) => slowness(b) - slowness(a) || a.info.ksock - b.info.ksock);
  const isEmpty = seen.ksocks.length === 0;
  const isKnown = ['connected', 'recording'].includes(connection.value.state);
  return (
    <section class="now" aria-label="Now">
      <p class={`verdict ${isKnown && ksock === null ? 'good' : 'bad'}`} role="status" id="verdict">
        {isKnown
          ? sentence(text)
          : `Not connected${isEmpty ? '' : ': this is what was known before'}.`}
      </p>
      <div class="tools">
        <input
          type="search"
          aria-label="Search programs"
          placeholder="Program, pid, or Ksock id"
          value={filter.value.text}
          onInput={({ currentTarget }) => refine({ text: currentTarget.value })}
        />
        <span class="muted">
          {count(shown.length)} of {count(seen.ksocks.length)} programs, the slowest first
        </span>
      </div>
      <div class="scroll">
        <table class="programs">
          <thead>
            <tr>
              <th scope="col">Program</th>
              <th scope="col">Queue</th>
              <th scope="col" class="number" title="How long its oldest unread message has waited">
                Oldest
              </th>
              <th scope="col" class="number">
                Reads
              </th>
              <th scope="col" class="number">
                Sends
              </th>
              <th scope="col" class="number" title="Messages that it missed, since it was opened">
                Missed
              </th>
              <th scope="col" class="number" title="Requests that it has read and not answered">
                Owes
              </th>
              <th
                scope="col"
                class="number"
                title="99 of 100 Requests to it are answered within this time"
              >
                Replies in
              </th>
              <th scope="col" class="number" title="Bytes of data that it sends">
                Data
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <ProgramRow key={one.info.ksock} one={one} isSlow={one.info.ksock === ksock} />
            ))}
          </tbody>
        </table>
        {isKnown && isEmpty && <Empty>No program is on this bus.</Empty>}
      </div>
    </section>
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function fits(ksock: number, pid: number, search: string): boolean {
  if (search === '') return true;
  const name = model.value.programs.nameOf(ksock).toLowerCase();
  return name.includes(search) || String(ksock) === search || String(pid) === search;
}

/** As `kbus top` sorts. */
function slowness({ info, missedRate, unansweredAge, unreadAge }: KsockTraffic): number {
  const waited = Math.max(unreadAge ?? 0, unansweredAge ?? 0);
  return waited + missedRate + info.unread / Math.max(1, info.maxMessages);
}

function age(ms: number | null, isOlder: boolean): string {
  return ms === null ? '–' : `${isOlder ? '>' : ''}${duration(ms)}`;
}

function ProgramRow({ isSlow, one }: { one: KsockTraffic; isSlow: boolean }) {
  const { info } = one;
  const { ksock, missed, pid, unreplied } = info;
  const program = model.value.programs.get(ksock);
  return (
    <tr class={isSlow ? 'slow' : ''} data-ksock={ksock}>
      <th scope="row">
        <button
          type="button"
          class="link"
          title="Show who it talks to"
          onClick={() => go({ view: 'talk', filter: { ...filter.value, text: '', ksock } })}
        >
          {program?.limpet != null && '⇄ '}
          {model.value.programs.nameOf(ksock)}
        </button>
        <small>
          Ksock {ksock}
          {pid !== 0 && `, pid ${pid}`}
        </small>
      </th>
      <td data-label="Queue">
        <QueueBar one={one} />
      </td>
      <td class="number" data-label="Oldest">
        {age(one.unreadAge, one.isOlder)}
      </td>
      <td class="number" data-label="Reads">
        {compact(one.readRate)}/s
      </td>
      <td class="number" data-label="Sends">
        {compact(one.sentRate)}/s
      </td>
      <td class={`number ${one.missedRate > 0 ? 'bad' : ''}`} data-label="Missed">
        {compact(missed)}
        {one.missedRate > 0 && ` (${compact(one.missedRate)}/s)`}
      </td>
      <td class="number" data-label="Owes">
        {unreplied === 0
          ? '–'
          : `${compact(unreplied)}, ${age(one.unansweredAge, one.isUnansweredOlder)}`}
      </td>
      <td class="number" data-label="Replies in">
        {one.toAnswer === null ? '–' : duration(one.toAnswer.p99)}
      </td>
      <td class="number" data-label="Data">
        {bytes(one.bytesRate)}/s
      </td>
    </tr>
  );
}

/** A queue against its limit: unread messages, and the places that are kept for answers. */
function QueueBar({ one }: { one: KsockTraffic }) {
  const { maxMessages, outstanding, unread } = one.info;
  const most = Math.max(1, maxMessages);
  const full = Math.min(1, unread / most);
  const kept = Math.min(1 - full, outstanding / most);
  const level = full + kept >= 1 ? 'full' : full >= 0.5 ? 'high' : '';
  const text = `${count(unread)} of ${count(maxMessages)}`;
  const more = outstanding > 0 ? `, ${count(outstanding)} places kept for answers` : '';
  return (
    <div class="queue">
      <div class={`bar ${level}`} aria-hidden="true" title={`${text} messages${more}`}>
        <i style={{ width: `${full * 100}%` }} />
        <i class="kept" style={{ width: `${kept * 100}%` }} />
      </div>
      <span>{text}</span>
    </div>
  );
}
