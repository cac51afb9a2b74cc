import { afterEach, beforeEach, describe } from 'vitest';
import type { Mode } from '../../src/message/calls.ts';
import { bindEvents } from './bind-events.ts';
import { binding } from './binding.ts';
import { errno } from './errno.ts';
import { goingAway } from './going-away.ts';
import { introspection } from './introspection.ts';
import { messages } from './messages.ts';
import { names } from './names.ts';
import { promises } from './promises.ts';
import { queues } from './queues.ts';
import { sending } from './sending.ts';
import { settings } from './settings.ts';
import type { OriginalKsock, Place, Stage, Transport } from './transport.ts';
import { waiting } from './waiting.ts';

/**
 * The rules of spec 1, sentence by sentence, with the calls of the original only. Call
 * it in a test file for each transport.
 */
export function original(transport: Transport): void {
  describe(`${transport.name}: spec 1`, () => {
    const stage = staged(transport);
    promises(stage);
    names(stage);
    messages(stage);
    queues(stage);
    sending(stage);
    waiting(stage);
    binding(stage);
    goingAway(stage);
    bindEvents(stage);
    settings(stage);
    introspection(stage);
    errno(stage);
  });
}

/** A new place before each test of the calling suite. */
export function staged<K extends OriginalKsock>(transport: Transport<K>): Stage<K> {
  let place: Place<K>;
  beforeEach(async () => {
    place = await transport.place();
  });
  afterEach(() => place.close());
  return {
    open: (mode?: Mode, bus?: number) => place.open(mode, bus),
    get place() {
      return place;
    },
    transport,
  };
}
