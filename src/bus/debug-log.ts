import { codeOf } from '../message/errno.ts';
import { nameOf, whoIs } from './identity.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import type { BusObserver } from './observer.ts';

/** Tells in words what happens on a bus: *verbose* (spec 1 §10.1). */
export class DebugLog implements BusObserver {
  private readonly log: (text: string) => void;

  constructor(log: (text: string) => void) {
    this.log = log;
  }

  opened(ksock: KsockState): void {
    this.log(`${whoIs(ksock)} opened (${ksock.mode})`);
  }

  closed(ksock: KsockState): void {
    this.log(`${nameOf(ksock)} closed`);
  }

  bound(binding: KsockBinding): void {
    this.log(`${nameOf(binding.ksock)} bound ${describeBinding(binding)}`);
  }

  unbound(binding: KsockBinding): void {
    this.log(`${nameOf(binding.ksock)} unbound ${describeBinding(binding)}`);
  }

  sent(sender: KsockState, batch: MessageBatch): void {
    const who = nameOf(sender);
    for (const text of describe(batch)) this.log(`${who} sent ${text}`);
  }

  answered(_requester: KsockState, batch: MessageBatch): void {
    if (batch.isStatus) for (const text of describe(batch)) this.log(`KBUS made ${text}`);
  }

  refused(sender: KsockState, batch: MessageBatch, errno: number): void {
    for (const text of describe(batch))
      this.log(`${codeOf(errno)} for ${nameOf(sender)}, sending ${text}`);
  }

  waiting(sender: KsockState, batch: MessageBatch): void {
    for (const text of describe(batch)) this.log(`EAGAIN for ${nameOf(sender)}, sending ${text}`);
  }
}

function* describe(batch: MessageBatch): Generator<string> {
  const kind = batch.isReply ? 'Reply' : batch.isRequest ? 'Request' : 'Announcement';
  for (let index = 0; index < batch.count; index++) {
    const one = batch.count === 1 ? batch : batch.one(index);
    const id = `[${one.idNetwork}:${one.idSerial}]`;
    yield `${kind} ${id} '${one.name}', ${one.dataLength} bytes of data`;
  }
}

function describeBinding({ replier, name }: KsockBinding): string {
  return `as ${replier ? 'Replier' : 'Listener'} for '${name}'`;
}
