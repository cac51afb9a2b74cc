import { expect } from 'vitest';
import { Announcement, type Message, Request } from '../../src/message/message.ts';
import type { OriginalKsock } from './transport.ts';

/** The next message, which must be in the queue. */
export async function next(ksock: OriginalKsock): Promise<Message> {
  const message = await ksock.readNextMsg();
  if (message === null) return expect.fail(`nothing is there to be read by Ksock ${ksock.id}`);
  return message;
}

/** All messages in the queue. */
export async function readAll(ksock: OriginalKsock): Promise<Message[]> {
  const messages: Message[] = [];
  for (;;) {
    const message = await ksock.readNextMsg();
    if (message === null) return messages;
    messages.push(message);
  }
}

export async function readNames(ksock: OriginalKsock): Promise<string[]> {
  return (await readAll(ksock)).map(({ name }) => name);
}

export async function readTexts(ksock: OriginalKsock): Promise<string[]> {
  return (await readAll(ksock)).map((message) => message.text());
}

/** Makes the queue of a Ksock full: only reading, unbinding `$.Filler` or a higher limit makes room. */
export async function fill(ksock: OriginalKsock, by: OriginalKsock): Promise<void> {
  await ksock.bind('$.Filler');
  await by.sendMsg(new Announcement('$.Filler'));
  await ksock.setMaxMessages(await ksock.numMessages());
}

/** A Request that its Replier has read and not answered. */
export async function ask(
  requester: OriginalKsock,
  replier: OriginalKsock,
  name: string,
  data = '',
): Promise<Message> {
  await requester.sendMsg(new Request(name, data));
  const request = await next(replier);
  expect(request.wantsUsToReply()).toBe(true);
  return request;
}
