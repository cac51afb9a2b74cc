import { codeOf } from '../message/errno.ts';
import type { BusKsock } from './ksock.ts';
import type { BusObserver } from './observer.ts';
import type { Parcel } from './parcel.ts';
import type { Binding } from './routes.ts';

/** Tells in words what happens on a bus: *verbose* (spec 1 §10.1). */
export class DebugLog implements BusObserver {
  private readonly log: (text: string) => void;

  constructor(log: (text: string) => void) {
    this.log = log;
  }

  opened({ id, mode, pid }: BusKsock): void {
    this.log(`Ksock ${id} opened (${mode}, pid ${pid})`);
  }

  closed({ id }: BusKsock): void {
    this.log(`Ksock ${id} closed`);
  }

  bound(binding: Binding): void {
    this.log(`Ksock ${binding.ksock.id} bound ${describeBinding(binding)}`);
  }

  unbound(binding: Binding): void {
    this.log(`Ksock ${binding.ksock.id} unbound ${describeBinding(binding)}`);
  }

  sent({ id }: BusKsock, parcel: Parcel): void {
    for (const text of describe(parcel)) this.log(`Ksock ${id} sent ${text}`);
  }

  answered(_requester: BusKsock, parcel: Parcel): void {
    if (parcel.isStatus) for (const text of describe(parcel)) this.log(`KBUS made ${text}`);
  }

  refused({ id }: BusKsock, parcel: Parcel, errno: number): void {
    for (const text of describe(parcel))
      this.log(`${codeOf(errno)} for Ksock ${id}, sending ${text}`);
  }

  waiting({ id }: BusKsock, parcel: Parcel): void {
    for (const text of describe(parcel)) this.log(`EAGAIN for Ksock ${id}, sending ${text}`);
  }
}

function* describe(parcel: Parcel): Generator<string> {
  const kind = parcel.isReply ? 'Reply' : parcel.isRequest ? 'Request' : 'Announcement';
  for (let index = 0; index < parcel.count; index++) {
    const one = parcel.count === 1 ? parcel : parcel.one(index);
    const id = `[${one.idNetwork}:${one.idSerial}]`;
    yield `${kind} ${id} '${one.name}', ${one.dataLength} bytes of data`;
  }
}

function describeBinding({ replier, name }: Binding): string {
  return `as ${replier ? 'Replier' : 'Listener'} for '${name}'`;
}
