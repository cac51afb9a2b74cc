import type { Bus } from '../bus/bus.ts';
import { Ksock, type KsockOptions, type WaitOptions } from '../client/ksock.ts';
import { KbusError } from '../message/error.ts';
import type { MessageId } from '../message/id.ts';
import type { Message } from '../message/message.ts';
import { checkMessageName, isMoreSpecific, matches } from '../message/name.ts';
import { ErrorMessage, GiveUp, NoMessage } from './errors.ts';
import { Translation } from './translation.ts';

/** How many messages the queue of a Limpet holds. */
const MAX_MESSAGES = 1_000_000;

/**
 * Options of `LimpetKsock.open`.
 *
 * @see {@link LimpetKsock} for an example
 */
export interface LimpetKsockOptions extends Pick<KsockOptions, 'directory'> {
  /** What the Limpet passes on: a name or wildcard. Default: `$.*`. */
  readonly messageName?: string | undefined;
  /** {@link LimpetKsock.readNextMsg} throws {@link GiveUp} when it reads a message of exactly this name. */
  readonly terminationMessage?: string | undefined;
}

/**
 * The Ksock of a classic Limpet (spec 3 §2, spec 3 §3): reading gives the messages for the other Limpet, and sending takes
 * those of the other Limpet. For programs that carry messages over a link of their own; {@link runALimpet} has one.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, MessageId } from 'kbus';
 * import { GiveUp, LimpetKsock, type LimpetKsockOptions } from 'kbus/limpet';
 *
 * const bus = new Bus();
 * const options: LimpetKsockOptions = { terminationMessage: '$.Stop' };
 * const limpet = await LimpetKsock.open(bus, 1, 2, options);
 * const ksock = await Ksock.open(bus);
 * await ksock.bind('$.Door.Back');
 *
 * // From the bus, for the other Limpet.
 * await ksock.sendMsg(new Announcement('$.Door.Front', 'open'));
 * const message = await limpet.readNextMsg();
 * console.log(message?.name, String(message?.origFrom)); // → $.Door.Front (1,2)
 *
 * // From the other Limpet, for the bus.
 * await limpet.sendMsg(new Announcement('$.Door.Back', 'shut', { id: new MessageId(2, 9) }));
 * console.log((await ksock.readNextMsg())?.text()); // → shut
 *
 * await ksock.sendMsg(new Announcement('$.Stop'));
 * const error = await limpet.waitForMsg().catch((reason: unknown) => reason);
 * console.log(error instanceof GiveUp); // → true
 * await Promise.all([limpet.close(), ksock.close()]);
 * ```
 */
export class LimpetKsock {
  private readonly ksock: Ksock;
  private readonly translation: Translation;
  private readonly termination: string | undefined;

  private constructor(ksock: Ksock, translation: Translation, termination: string | undefined) {
    this.ksock = ksock;
    this.translation = translation;
    this.termination = termination;
  }

  /**
   * Opens the Ksock of a Limpet: it listens, hears each message once, and is told of Repliers. `ours` and `theirs` are the
   * network ids, from 1, of this Limpet and of the other one. Errors: those of `Ksock.open` and `Ksock.bind`.
   */
  static async open(
    where: number | Bus,
    ours: number,
    theirs: number,
    options: LimpetKsockOptions = {},
  ): Promise<LimpetKsock> {
    checkIds(ours, theirs);
    const { directory, messageName = '$.*', terminationMessage } = options;
    const ksock = await Ksock.open(where, { directory });
    try {
      await ksock.setMaxMessages(MAX_MESSAGES);
      await ksock.wantMessagesOnce(true);
      await ksock.bind(messageName);
      if (messageName !== '$.*') await ksock.bind('$.KBUS.ReplierBindEvent');
      if (terminationMessage !== undefined) await ksock.bind(terminationMessage);
      await ksock.reportReplierBinds(true);
    } catch (error) {
      await ksock.close();
      throw error;
    }
    return new LimpetKsock(ksock, new Translation(ours, theirs), terminationMessage);
  }

  get id(): number {
    return this.ksock.id;
  }

  /** The id of the Ksock, as messages have it in `from`. */
  ksockId(): number {
    return this.ksock.id;
  }

  /** The next message for the other Limpet; null if there is none now. Throws GiveUp for the termination message. */
  async readNextMsg(): Promise<Message | null> {
    return this.read(() => this.ksock.readNextMsg());
  }

  /** Waits for the next message for the other Limpet; null after the timeout. */
  async waitForMsg(options: WaitOptions = {}): Promise<Message | null> {
    return this.read(() => this.ksock.waitForMsg(options));
  }

  private async read(take: () => Promise<Message | null>): Promise<Message | null> {
    for (;;) {
      const message = await take();
      if (message === null) return null;
      if (message.name === this.termination) throw new GiveUp(`'${message.name}' was read`);
      const passed = this.translation.fromBus(message, this.ksock.id);
      if (passed !== null) return passed;
    }
  }

  /**
   * Sends a message of the other Limpet on the bus. Throws {@link NoMessage} if it is not to be sent (an event, a copy), and
   * {@link ErrorMessage} if its sender is to get an answer instead.
   */
  async sendMsg(message: Message): Promise<MessageId> {
    const step = await this.translation.toBus(message, {
      ksockId: this.ksock.id,
      replierOf: (name) => this.replierOf(name),
    });
    switch (step.do) {
      case 'bind':
      case 'unbind':
        // A name that has a Replier here, or none any more, is no reason to stop.
        await this.ksock[step.do](step.name, true).catch(() => {});
        throw new NoMessage(`the Replier of '${step.name}' has come or gone`);
      case 'ignore':
        throw new NoMessage(`'${message.name}' is not for this bus`);
      case 'answer':
        throw new ErrorMessage(step.message);
      case 'send':
        try {
          return await this.ksock.sendMsg(step.message);
        } catch (error) {
          const answer = this.couldNotSendToKbusMsg(message, error as Error);
          if (answer !== null) throw new ErrorMessage(answer);
          throw new NoMessage((error as Error).message, { cause: error });
        }
    }
  }

  /** The answer for the other Limpet to a Request that the bus has refused; null for what is no Request. */
  couldNotSendToKbusMsg(message: Message, error: Error): Message | null {
    if (!(error instanceof KbusError)) throw error;
    return this.translation.notSent(message, error.code);
  }

  /** The Ksock that the bus would give a Request of this name; 0 if there is none. */
  private async replierOf(name: string): Promise<number> {
    if (checkMessageName(name) !== 0) return 0;
    const bindings = await this.ksock.readBindings();
    let best: { name: string; ksock: number } | null = null;
    for (const binding of bindings) {
      if (!binding.replier || !matches(binding.name, name)) continue;
      if (best === null || isMoreSpecific(binding.name, best.name)) best = binding;
    }
    return best?.ksock ?? 0;
  }

  /** Leaves the bus. */
  close(): Promise<void> {
    return this.ksock.close();
  }
}

function checkIds(ours: number, theirs: number): void {
  for (const id of [ours, theirs]) {
    if (!Number.isInteger(id) || id < 1 || id > 0xffff_ffff) {
      throw new TypeError(
        `a network id is a whole number from 1 to 4294967295, not ${String(id)}: each Limpet needs one of its own`,
      );
    }
  }
  if (ours === theirs) {
    throw new TypeError(`both Limpets have the network id ${ours}: give one of them another id`);
  }
}
