import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import {
  connectAsClient,
  connectAsServer,
  ErrorMessage,
  GiveUp,
  LimpetKsock,
  NoMessage,
  parseAddress,
  runALimpet,
} from '../../src/limpet/index.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { Bowls, next } from './bowls.ts';

let bowls: Bowls;
let near: Bus;
let far: Bus;
beforeEach(() => {
  bowls = new Bowls();
  [near, far] = [new Bus(), new Bus()];
});
afterEach(() => bowls.end());

describe('spec 3 §2, spec 3 §3: LimpetKsock', () => {
  let one: LimpetKsock;
  let other: LimpetKsock;
  beforeEach(async () => {
    one = await LimpetKsock.open(near, 1, 2);
    other = await LimpetKsock.open(far, 2, 1, { terminationMessage: '$.Stop' });
  });
  afterEach(() => Promise.all([one.close(), other.close()]));

  /** Carries all that one reads to the other. */
  async function carry(from: LimpetKsock, to: LimpetKsock): Promise<void> {
    for (;;) {
      const message = await from.readNextMsg();
      if (message === null) return;
      try {
        await to.sendMsg(message);
      } catch (error) {
        if (error instanceof ErrorMessage) await from.sendMsg(error.error);
        else if (!(error instanceof NoMessage)) throw error;
      }
    }
  }

  it('carries Announcements, bind events, Requests and Replies, for a link of the program', async () => {
    const asker = await bowls.open(near);
    const replier = await bowls.open(far);
    await replier.bind('$.Gulp', true);
    await carry(other, one);
    expect(await asker.findReplier('$.Gulp')).toBe(one.id);
    await asker.sendMsg(new Request('$.Gulp', 'hungry?'));
    await carry(one, other);
    await replier.sendMsg(replyTo(await next(replier), 'yes'));
    await carry(other, one);
    const reply = await next(asker);
    expect([reply.text(), String(reply.origFrom)]).toEqual(['yes', `(2,${replier.id})`]);
    await replier.bind('$.News');
    await asker.sendMsg(new Announcement('$.News', 'new'));
    await carry(one, other);
    const news = await next(replier);
    expect([news.text(), news.id.networkId]).toEqual(['new', 1]);
    // It came from there.
    await carry(other, one);
    expect(await asker.numMessages()).toBe(0);
  });

  it('spec 3 §3.5: a Request that the bus refuses throws an ErrorMessage with the answer', async () => {
    const message = new Request('$.Nobody', null, { flags: 3, id: new MessageId(1, 4) });
    const error = await other.sendMsg(message).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ErrorMessage);
    expect((error as ErrorMessage).error.name).toBe('$.KBUS.RemoteError.EADDRNOTAVAIL');
    expect(String((error as ErrorMessage).error.inReplyTo)).toBe('[1:4]');
  });

  it('spec 3 §2: gives up when it reads the termination message', async () => {
    const ksock = await bowls.open(far);
    await ksock.sendMsg(new Announcement('$.Stop.Not'));
    expect((await other.readNextMsg())?.name).toBe('$.Stop.Not');
    await ksock.sendMsg(new Announcement('$.Stop'));
    await expect(other.readNextMsg()).rejects.toThrow(GiveUp);
  });

  it('refuses equal ids', async () => {
    await expect(LimpetKsock.open(near, 3, 3)).rejects.toThrow(
      /both Limpets have the network id 3/,
    );
  });
});

describe('spec 3 §5.3: addresses', () => {
  it('is a path, or host:port', () => {
    expect(parseAddress('/tmp/a:b')).toEqual([{ path: '/tmp/a:b' }, 'AF_UNIX']);
    expect(parseAddress('host:7000')).toEqual([{ host: 'host', port: 7000 }, 'AF_INET']);
    expect(() => parseAddress('host:port')).toThrow(/give host:port with a port/);
  });

  it('one side is the server, the other the client', async () => {
    const [address] = parseAddress(join(bowls.folder, 'link'));
    await expect(connectAsClient(address)).rejects.toThrow(GiveUp);
    const serving = connectAsServer(address);
    await bowls.until(() =>
      connectAsClient(address).then(
        (socket) => socket.destroy() !== undefined,
        () => false,
      ),
    );
    const [server, socket] = await serving;
    socket.destroy();
    server.close();
  });
});

describe('runALimpet', () => {
  it('joins two buses, until it reads its termination message', async () => {
    const [address] = parseAddress(join(bowls.folder, 'link'));
    const options = { verbosity: 0, terminationMessage: '$.Stop' };
    const running = [
      runALimpet(true, address, near, 1, options),
      runALimpet(false, address, far, 2, options),
    ];
    const listener = await bowls.open(far);
    const sender = await bowls.open(near);
    await listener.bind('$.Ready', true);
    await bowls.replier(sender, '$.Ready');
    await sender.sendMsg(new Announcement('$.Stop'));
    await (await bowls.open(far)).sendMsg(new Announcement('$.Stop'));
    await Promise.all(running);
  });
});
