/** The actors, in the order of their terminals. */
export const ACTORS = ['Rosencrantz', 'Audience', 'Guildenstern', 'Falstaff'] as const;

export type Actor = (typeof ACTORS)[number];

/** Each step is over when its event has happened, not before. */
export type Step =
  /** A part of the playlet begins. */
  | { readonly act: string }
  /** A comment for the spectators. */
  | { readonly aside: string }
  /** An actor types a line, and it succeeds. */
  | { readonly who: Actor; readonly types: string }
  /** An actor types a line, and KBUS refuses it. */
  | { readonly who: Actor; readonly fails: string }
  /** An actor types a line that runs until Ctrl-C. */
  | { readonly who: Actor; readonly starts: string }
  /** The started line prints this number of further lines. */
  | { readonly who: Actor; readonly prints: number }
  /** The actor presses Ctrl-C, and the started line ends. */
  | { readonly who: Actor; readonly interrupts: true }
  /** The actor runs `kbus` with these arguments. */
  | { readonly who: Actor; readonly runs: readonly string[] }
  /** The actor's program ends. */
  | { readonly who: Actor; readonly exits: true };

/** An actor's lines. */
const lines = (who: Actor) => ({
  types: (...typed: string[]): Step[] => typed.map((types) => ({ who, types })),
  fails: (fails: string): Step[] => [{ who, fails }],
  starts: (starts: string): Step[] => [{ who, starts }],
  prints: (count: number): Step[] => [{ who, prints: count }],
  interrupts: (): Step[] => [{ who, interrupts: true }],
  runs: (...runs: string[]): Step[] => [{ who, runs }],
  exits: (): Step[] => [{ who, exits: true }],
});

const rosencrantz = lines('Rosencrantz');
const audience = lines('Audience');
const guildenstern = lines('Guildenstern');
const falstaff = lines('Falstaff');

const act = (title: string): Step[] => [{ act: title }];
const aside = (text: string): Step[] => [{ aside: text }];

const LISTEN_LOOP = 'for (;;) console.log(String(await audience.waitForMsg({ signal: ctrlC() })))';

const COUNT_LOOP = `for (;;) {
  const toss = await guildenstern.waitForMsg({ signal: ctrlC() })
  console.log(String(toss))
  if (toss.text() === 'Head') {
    console.log('A head - amazing')
    heads += 1
  } else {
    console.log('Bah, tails')
  }
  console.log(await guildenstern.sendMsg(replyTo(toss, \`Head count is \${heads}\`)))
}`;

/** The playlet of the KBUS introduction, for the bus with this number. */
export function playlet(bus: number): Step[] {
  return [
    ...act('Senders and Listeners'),

    ...aside(
      `Rosencrantz opens a Ksock, which is a connection to a bus, and sends a message. Nobody listens yet: that is not an error.`,
    ),
    ...rosencrantz.types(
      "import { Ksock, Message } from 'kbus'",
      `const rosencrantz = await Ksock.open(${bus})`,
      'console.log(String(rosencrantz))',
      "const ahem = new Message('$.Actor.Speak', 'Ahem')",
      'await rosencrantz.sendMsg(ahem)',
    ),
    ...aside(
      'The Audience, another program, binds to that name: from now on it gets the messages of that name.',
    ),
    ...audience.types(
      "import { Ksock } from 'kbus'",
      `const audience = await Ksock.open(${bus})`,
      "await audience.bind('$.Actor.Speak')",
    ),
    ...rosencrantz.types('await rosencrantz.sendMsg(ahem)'),
    ...audience.types('await audience.readNextMsg()', 'console.log(String(_))'),
    ...aside('A message has the id of the Ksock that sent it.'),
    ...rosencrantz.types('rosencrantz.ksockId()'),
    ...aside('There is no second message yet. The Audience waits for more, until Ctrl-C.'),
    ...audience.types('console.log(await audience.readNextMsg())'),
    ...audience.starts(LISTEN_LOOP),
    ...rosencrantz.types(
      "await rosencrantz.sendMsg(new Message('$.Actor.Speak', 'Hello there'))",
      "await rosencrantz.sendMsg(new Message('$.Actor.Speak', 'Can you hear me?'))",
    ),
    ...audience.prints(2),
    ...aside('Guildenstern joins them, and binds to a wildcard: all names below $.Actor.'),
    ...guildenstern.types(
      "import { Ksock, Message, replyTo } from 'kbus'",
      `const guildenstern = await Ksock.open(${bus})`,
      'console.log(String(guildenstern))',
      "await guildenstern.bind('$.Actor.*')",
    ),
    ...aside('The Audience and Rosencrantz do the same.'),
    ...audience.interrupts(),
    ...audience.types("await audience.bind('$.Actor.*')"),
    ...audience.starts(LISTEN_LOOP),
    ...rosencrantz.types("await rosencrantz.bind('$.Actor.*')"),
    ...guildenstern.types(
      "await guildenstern.sendMsg(new Message('$.Actor.Speak', 'Pssst!'))",
      'console.log(String(await guildenstern.readNextMsg()))',
    ),
    ...rosencrantz.types('let msg = await rosencrantz.readNextMsg()', 'console.log(String(msg))'),
    ...audience.prints(2),
    ...aside(
      'The Audience got it twice, for each binding that matches once. It undoes the one for $.Actor.Speak.',
    ),
    ...audience.interrupts(),
    ...audience.types("await audience.unbind('$.Actor.Speak')"),
    ...audience.starts(LISTEN_LOOP),

    ...act('Requests and Repliers'),

    ...aside(
      'Guildenstern binds as the Replier for a name. There can be only one: he must answer the Requests of that name.',
    ),
    ...guildenstern.types("await guildenstern.bind('$.Actor.Ask.Guildenstern', true)"),
    ...rosencrantz.types(
      "import { Request } from 'kbus'",
      "let req = new Request('$.Actor.Ask.Guildenstern', 'Were you speaking to me?')",
      'await rosencrantz.sendMsg(req)',
    ),
    ...aside('Because of his wildcard, Rosencrantz gets his own Request too. He unbinds it.'),
    ...rosencrantz.types(
      'console.log(String(await rosencrantz.readNextMsg()))',
      "await rosencrantz.unbind('$.Actor.*')",
    ),
    ...aside(
      'Guildenstern gets the Request twice: marked YOU, as its Replier; and then, because of his wildcard, as a Listener.',
    ),
    ...guildenstern.types(
      'let req = await guildenstern.readNextMsg()',
      'console.log(String(req))',
      'console.log(req.wantsUsToReply())',
      'const msg = await guildenstern.readNextMsg()',
      'console.log(String(msg))',
      "await guildenstern.unbind('$.Actor.*')",
    ),
    ...aside('He replies.'),
    ...guildenstern.types(
      "const rep = replyTo(req, 'Yes, yes I was')",
      'console.log(String(rep))',
      'await guildenstern.sendMsg(rep)',
      'await guildenstern.readNextMsg()',
    ),
    ...aside(
      'The requester gets the Reply, and needs no binding for it. The Audience has heard it all.',
    ),
    ...rosencrantz.types('let rep = await rosencrantz.readNextMsg()', 'console.log(String(rep))'),
    ...audience.prints(2),

    ...act('Stateful Requests'),

    ...aside('They will toss coins. Guildenstern counts: only he knows how many heads there were.'),
    ...rosencrantz.types(
      "req = new Request('$.Actor.Ask.Guildenstern', 'Will you count heads for me?')",
      'await rosencrantz.sendMsg(req)',
    ),
    ...guildenstern.types(
      'req = await guildenstern.readNextMsg()',
      "await guildenstern.sendMsg(replyTo(req, 'Yes, yes I shall'))",
      "await guildenstern.bind('$.Actor.CoinToss', true)",
      'let heads = 0',
    ),
    ...audience.prints(2),
    ...guildenstern.starts(COUNT_LOOP),
    ...aside(
      'The Reply has the id of the Ksock that answered. A stateful Request goes to that Ksock, or fails.',
    ),
    ...rosencrantz.types(
      'rep = await rosencrantz.readNextMsg()',
      'console.log(rep.from)',
      "import { statefulRequest } from 'kbus'",
      "let sreq = statefulRequest(rep, '$.Actor.CoinToss', 'Head')",
      'console.log(String(sreq))',
      'await rosencrantz.sendMsg(sreq)',
    ),
    ...guildenstern.prints(3),
    ...audience.prints(2),
    ...rosencrantz.types(
      'let count = await rosencrantz.readNextMsg()',
      "console.log('So,', count.text())",
      "sreq = statefulRequest(rep, '$.Actor.CoinToss', 'Head')",
      'await rosencrantz.sendMsg(sreq)',
    ),
    ...guildenstern.prints(3),
    ...audience.prints(2),
    ...rosencrantz.types(
      'count = await rosencrantz.readNextMsg()',
      "console.log('So,', count.text())",
    ),
    ...aside('Falstaff makes Guildenstern leave, and binds as the Replier for the coin tosses.'),
    ...guildenstern.interrupts(),
    ...guildenstern.types("console.log('Falstaff! No! Ouch!')", 'await guildenstern.close()'),
    ...falstaff.types(
      "import { Ksock } from 'kbus'",
      `const falstaff = await Ksock.open(${bus})`,
      "await falstaff.bind('$.Actor.CoinToss', true)",
    ),
    ...aside(
      'He does not know how many heads there were, and the stateful Request does not go to him.',
    ),
    ...rosencrantz.types("sreq = statefulRequest(rep, '$.Actor.CoinToss', 'Head')"),
    ...rosencrantz.fails('await rosencrantz.sendMsg(sreq)'),
    ...rosencrantz.runs('errno', '32'),

    ...act('Tidying up'),

    ...aside('Nobody has an unread message.'),
    ...audience.interrupts(),
    ...audience.exits(),
    ...rosencrantz.types('for await (const msg of rosencrantz.drain()) console.log(String(msg))'),
    ...rosencrantz.exits(),
    ...guildenstern.exits(),
    ...falstaff.types('for await (const msg of falstaff.drain()) console.log(String(msg))'),
    ...falstaff.exits(),
  ];
}
