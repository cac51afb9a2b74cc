import { codeOf } from '../message/errno.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import type { BusObserver } from './observer.ts';

/** Tells in words what happens on a bus: *verbose* (spec 1 §10.1). */
export class DebugLog implements BusObserver {
  private readonly log: (text: string) => void;

  constructor(log: (text: string) => void) {
    this.log = log;
  }

  opened({ id, mode, pid }: KsockState): void {
    this.log(`Ksock ${id} opened (${mode}, pid ${pid})`);
  }

  closed({ id }: KsockState): void {
    this.log(`Ksock ${id} closed`);
  }

  bound(binding: KsockBinding): void {
    this.log(`Ksock ${binding.ksock.id} bound ${describeBinding(binding)}`);
  }

  unbound(binding: KsockBinding): void {
    this.log(`Ksock ${binding.ksock.id} unbound ${describeBinding(binding)}`);
  }

  sent({ id }: KsockState, batch: MessageBatch): void {
    for (const text of describe(batch)) this.log(`Ksock ${id} sent ${text}`);
  }

  answered(_requester: KsockState, batch: MessageBatch): void {
    if (batch.isStatus) for (const text of describe(batch)) this.log(`KBUS made ${text}`);
  }

  refused({ id }: KsockState, batch: MessageBatch, errno: number): void {
    for (const text of describe(batch))
      this.log(`${codeOf(errno)} for Ksock ${id}, sending ${text}`);
  }

  waiting({ id }: KsockState, batch: MessageBatch): void {
    for (const text of describe(batch)) this.log(`EAGAIN for Ksock ${id}, sending ${text}`);
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
