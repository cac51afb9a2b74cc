import { useSignal } from '@preact/signals';
import { checkMessageName } from '../../message/name.ts';
import { recipientsOf } from '../../seeing/recipients.ts';
import { model, traffic } from '../state/feed.ts';
import { bus, filter, go } from '../state/route.ts';
import { type Outcome, send } from '../state/sender.ts';
import { DataPanel } from './data-panel.tsx';

/** Sends an Announcement or a Request. Only the address of `kbus web --allow-send` leads here. */
export function Try() {
  // Who would get it changes with the bus.
  void traffic.value;
  const isRequest = useSignal(false);
  const name = useSignal('');
  const data = useSignal('');
  const isSending = useSignal(false);
  const outcome = useSignal<Outcome | null>(null);
  const isName = checkMessageName(name.value) === 0;

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    isSending.value = true;
    outcome.value = null;
    outcome.value = await send(bus.value, isRequest.value, name.value, data.value);
    isSending.value = false;
  };

  return (
    <section class="try" aria-label="Try it">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <fieldset class="kinds">
          <legend class="hidden">What to send</legend>
          {[false, true].map((one) => (
            <button
              key={String(one)}
              type="button"
              aria-pressed={isRequest.value === one}
              onClick={() => {
                isRequest.value = one;
              }}
            >
              {one ? 'Request' : 'Announcement'}
            </button>
          ))}
        </fieldset>
        <label>
          Name
          <input
            id="name"
            list="names"
            spellcheck={false}
            autocomplete="off"
            placeholder="$.Heater.Set"
            value={name.value}
            onInput={({ currentTarget }) => {
              name.value = currentTarget.value.trim();
            }}
          />
        </label>
        <datalist id="names">
          {[...model.value.names.all()].slice(0, 200).map((one) => (
            <option key={one.name} value={one.name} />
          ))}
        </datalist>
        <label>
          Data
          <textarea
            id="data"
            rows={4}
            spellcheck={false}
            value={data.value}
            onInput={({ currentTarget }) => {
              data.value = currentTarget.value;
            }}
          />
        </label>
        {isName && <Recipients name={name.value} isRequest={isRequest.value} />}
        {name.value !== '' && !isName && (
          <p class="warn">
            A name begins with $. and has words of letters, digits, _ and - between dots.
          </p>
        )}
        <button type="submit" class="main" disabled={!isName || isSending.value}>
          {isSending.value ? 'Waiting for the answer…' : 'Send'}
        </button>
      </form>
      {outcome.value !== null && <Result outcome={outcome.value} />}
    </section>
  );
}

/** Who would get it now. */
function Recipients({ isRequest, name }: { name: string; isRequest: boolean }) {
  const { programs, traffic: kept } = model.value;
  const { listeners, replier } = recipientsOf(kept.view, name);
  const heard = listeners
    .filter(({ why }) => why === '')
    .map(({ ksock }) => programs.nameOf(ksock.ksock));
  return (
    <ul class="fate">
      {isRequest && (
        <li class={replier === null ? 'bad' : ''}>
          {replier === null
            ? 'Nobody replies to this name: KBUS would refuse the Request.'
            : `${programs.whoIs(replier.ksock.ksock)} would answer it.`}
        </li>
      )}
      <li>
        {heard.length === 0
          ? 'Nobody listens to this name.'
          : `It would be heard by ${heard.join(', ')}.`}
      </li>
      {listeners
        .filter(({ why }) => why !== '')
        .map(({ ksock, why }) => (
          <li key={ksock.ksock} class="warn">
            Not by {programs.nameOf(ksock.ksock)}: {why}.
          </li>
        ))}
    </ul>
  );
}

function Result({ outcome }: { outcome: Outcome }) {
  const { data, id, isGood, text } = outcome;
  return (
    <div class="card" id="outcome" role="status">
      <p class={isGood ? '' : 'bad'}>{text}</p>
      {data !== null && <DataPanel data={data} size={data.length} />}
      {id !== '' && (
        <button
          type="button"
          onClick={() =>
            go({ view: 'messages', message: id, filter: { ...filter.value, text: id } })
          }
        >
          What became of it
        </button>
      )}
    </div>
  );
}
