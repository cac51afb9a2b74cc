import { codeOf } from '../message/errno.ts';
import type { SeenIds, TapEvent } from '../tap/events.ts';

/** What happened, in words; '' for messages, which are shown as messages are. It may have text of other programs. */
export function describe(event: TapEvent): string {
  switch (event.type) {
    case 'begin':
      return `the state of bus ${event.bus}:`;
    case 'ksock':
    case 'opened': {
      const { claimed, mode, pid, program, unread } = event;
      const who = [program === '' ? '' : `'${program}'`, pid === 0 ? '' : `process ${pid}`]
        .filter((one) => one !== '')
        .join(', ');
      const said = who === '' ? '' : ` (${who}${claimed ? ', as it says' : ''})`;
      const does = event.type === 'opened' ? 'opened' : `is open, ${unread} unread`;
      return `Ksock ${event.ksock}${said} ${does}${mode === 'r' ? ', to read only' : ''}`;
    }
    case 'closed':
      return `Ksock ${event.ksock} closed`;
    case 'binding':
    case 'bound':
    case 'unbound': {
      const did = { binding: 'is bound', bound: 'bound', unbound: 'unbound' }[event.type];
      const dropped =
        event.type === 'unbound' && event.dropped > 0
          ? `; ${event.dropped} unread messages left its queue`
          : '';
      return `Ksock ${event.ksock} ${did} as ${event.replier ? 'Replier' : 'Listener'} for ${event.name}${dropped}`;
    }
    case 'bindRefused':
      return `Ksock ${event.ksock} may not ${event.isBind ? 'bind' : 'unbind'} ${event.name}: ${nameOf(event.errno)}`;
    case 'ready':
      return 'that is all of it';
    case 'lost':
      return `${event.events} events were lost here, with ${event.messages} messages`;
    case 'messages':
    case 'refused':
      return '';
    case 'sent':
      return `${idsOf(event)} sent by Ksock ${event.ksock}`;
    case 'waiting':
      return `${idsOf(event)} of Ksock ${event.ksock} waits for room`;
    case 'discarded':
      return `Ksock ${event.ksock} discarded ${event.id.isSet ? event.id : 'nothing'}`;
    case 'queued':
      return `${idsOf(event)} queued for Ksock ${event.ksock}${event.atFront ? ', at the front' : ''}: ${event.unread} unread`;
    case 'missed':
      return `${idsOf(event)} missed by Ksock ${event.ksock}, whose queue is full: ${event.missed} missed in all`;
    case 'read':
      return `${idsOf(event)} read by Ksock ${event.ksock}: ${event.unread} unread`;
    case 'answered': {
      const by = event.status === '' ? `Ksock ${event.replier}` : event.status;
      return `Request ${event.request} of Ksock ${event.ksock} answered by ${by}`;
    }
    case 'givenUp': {
      const why = event.hasLeft ? ', which has left' : event.isTakenBack ? ', unread' : '';
      return `Request ${event.request} given up by Ksock ${event.ksock}${why}`;
    }
    case 'set':
      return `${event.ksock === 0 ? 'the bus' : `Ksock ${event.ksock}`}: ${event.setting} ${event.value} gave ${event.result}`;
  }
}

/** `[0:7]`, or `[0:7] to [0:9]`. */
function idsOf({ count, id }: SeenIds): string {
  return count === 1 ? String(id) : `${id} to [${id.networkId}:${id.serialNum + count - 1}]`;
}

export function nameOf(errno: number): string {
  return codeOf(errno) ?? `error ${errno}`;
}
