import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import {
  decodeClassic,
  decodeGreeting,
  encodeClassic,
  encodeGreeting,
} from '../../src/limpet/link/classic-codec.ts';
import { replierBindEventData } from '../../src/message/bind-event.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Message, REPLIER_BIND_EVENT } from '../../src/message/message.ts';

/** A classic Limpet of the module, as far as its link shows it: it sends and reads what a test says, byte for byte. */
export class ClassicPeer {
  readonly id: number;
  readonly socket: Socket;
  private bytes = Buffer.alloc(0);
  private readonly read: Message[] = [];
  private wake = (): void => {};
  private serial = 0;

  private constructor(id: number, socket: Socket) {
    this.id = id;
    this.socket = socket;
  }

  static async greet(id: number, address: NetConnectOpts): Promise<ClassicPeer> {
    const peer = new ClassicPeer(id, connect(address));
    peer.socket.write(encodeGreeting(id));
    for (let greeted = -1; greeted < 0; ) {
      const [chunk] = await once(peer.socket, 'data');
      peer.bytes = Buffer.concat([peer.bytes, chunk]);
      greeted = decodeGreeting(peer.bytes);
    }
    peer.bytes = peer.bytes.subarray(8);
    peer.socket.on('data', (chunk) => peer.take(chunk));
    peer.take(Buffer.alloc(0));
    return peer;
  }

  private take(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    for (;;) {
      const decoded = decodeClassic(this.bytes);
      if (typeof decoded === 'number') break;
      this.read.push(decoded.message);
      this.bytes = this.bytes.subarray(decoded.length);
    }
    this.wake();
  }

  send(message: Message): void {
    this.socket.write(encodeClassic(message));
  }

  nextId(): MessageId {
    return new MessageId(this.id, ++this.serial);
  }

  /** Tells of a Replier, or that it is gone. */
  bind(name: string, isBind = true): void {
    const data = replierBindEventData({ isBind, binder: 5, name });
    this.send(new Message(REPLIER_BIND_EVENT, data, { id: this.nextId(), flags: Flag.SYNTHETIC }));
  }

  /** The next message of the Limpet; bind events only on demand. */
  async next(isEvent = false): Promise<Message> {
    for (;;) {
      const at = this.read.findIndex(({ name }) => (name === REPLIER_BIND_EVENT) === isEvent);
      if (at >= 0) return this.read.splice(at, 1)[0] as Message;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** What has come and was not asked for. */
  unread(): readonly string[] {
    return this.read.map(({ name }) => name);
  }

  end(): void {
    this.socket.destroy();
  }
}
