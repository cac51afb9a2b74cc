const MODULE = 'it tells what the module and its Limpets do';
const TERM = 'it defines a term, or leads to what follows';

const NATIVE = 'simulator/joined-buses: in new random runs';
const EACH = 'limpet: an Announcement arrives as it is';
const ANSWERED = 'limpet: a Request is answered by the Replier of the other bus';
const STATEFUL = 'limpet: a stateful Request reaches the same Replier';
const ARRIVED = 'classic: a stateful Request that has arrived goes to the Replier it names';
const COPY = 'limpet: a listener of the other bus hears a local Request';
const RING = 'classic: in a ring of classic links nothing circulates';
const ROW = 'classic: three buses in a row do not echo';
const KSOCK = 'joining: reads and writes, hears each message once';
const PASSES = 'classic: passes a message on with its network id and its sender';
const PROXY = 'classic: binds by proxy, tells nobody of it';
const ANSWER_ONCE = 'classic: passes an answer on to whoever asked, once';
const LAYOUT = '../message/codec/network: is that of the specification, word by word.';
const GREETING = 'joining: a server recognises a classic Limpet by its HELO';
const KEPT = 'joining: Announcements are kept while the link is lost';
const MISSED = 'joining: the far bus hears $.KBUS.Limpet.Missed';
const LOST = 'joining: a Request under way gets $.KBUS.Limpet.LinkLost';
const SHOWN = '../cli/limpet: joins two buses; kbus limpets shows the link';
const STREAM_AWAY = 'stream: keeps a part of what is announced while the stream is away';
const STREAM_ORDER = 'stream: a Request comes after what its sender announced before';
const DAEMON = '../cli/limpet: the daemon runs the Limpets of its configuration file';

/**
 * Each sentence of spec 3 by its first words, in order, with the tests that show it (file, from this folder, and the begin of
 * a title), or why none does.
 */
export const SENTENCES: readonly (readonly [string, string | readonly string[]])[] = [
  ['3 Three terms', TERM],
  ['3 *The module*', TERM],
  ['3 A *classic Limpet*', TERM],
  ['3 A *KBUS Limpet*', TERM],
  ['3 The *classic link*', TERM],
  ['3 The *native link*', TERM],
  ['1 A Limpet is an ordinary program', [KSOCK]],
  ['1 It makes its bus', [EACH, ANSWERED]],
  ['1 The Ksock is `rw`', [KSOCK]],
  ['1 The Ksock listens to', [KSOCK]],
  ['1 The Limpet turns on', [KSOCK]],
  [
    '1 Every Limpet has a network id',
    ['joining: refuses a network id of 0', 'joining: refuses a network id that another Limpet'],
  ],
  ['2 The Limpet takes these steps', TERM],
  [
    '2 If a termination message',
    [
      'joining: stops the Limpet, and no message of a name',
      'limpet-ksock: gives up when it reads the termination',
    ],
  ],
  ['2 If the message is a ReplierBindEvent', [PROXY]],
  ['2 If the message is a Request given', [ANSWER_ONCE]],
  ['2 If the network_id of the message', [PASSES]],
  ['2 It came from there.', [PASSES]],
  ['2 If id.network_id is 0', [PASSES, EACH]],
  ['2 If orig_from.network_id is 0', [PASSES, EACH]],
  ['2 Pass the message on.', [PASSES]],
  ['3.1 The Limpet binds or unbinds', [PROXY]],
  ['3.1 It does not pass', [PROXY]],
  ['3.2 If in_reply_to.network_id', [ANSWER_ONCE]],
  ['3.2 Look up', [ANSWER_ONCE]],
  ['3.2 If there is none', [ANSWER_ONCE]],
  ['3.2 It is a listener', [ANSWER_ONCE]],
  ['3.2 If there is one', [ANSWER_ONCE]],
  ['3.2 The new Reply has', [ANSWER_ONCE, ANSWERED]],
  ['3.3 If final_to.network_id is this', [ARRIVED]],
  ['3.3 The Replier here must be', [ARRIVED]],
  ['3.3 If the Replier is another', [ARRIVED, STATEFUL]],
  [
    '3.3 If final_to.network_id is another',
    ['classic: a stateful Request goes on to the next Limpet'],
  ],
  ['3.3 If there is no Replier at all', [ARRIVED]],
  ['3.4 The Limpet sends the message', [EACH]],
  ['3.4 Its id has a network_id', [EACH]],
  [
    '3.5 The Limpet answers a Request',
    [
      'joining: a Request that the far bus refuses gets',
      'limpet-ksock: a Request that the bus refuses throws',
    ],
  ],
  ['3.5 These answers, and those', [ARRIVED]],
  ['3.5 Their in_reply_to', [ARRIVED]],
  ['4 A Reply that came through', [ANSWERED, ANSWER_ONCE]],
  ['4 stateful_request(reply', [STATEFUL]],
  ['5 This link interoperates', [GREETING]],
  ['5.1 Each side sends', [GREETING]],
  ['5.1 A Limpet refuses a partner', ['joining: refuses a partner whose id equals its own']],
  ['5.2 After the greeting', [LAYOUT, GREETING]],
  ['5.2 A message begins', [LAYOUT, GREETING]],
  ['5.2 After them come', TERM],
  ['5.2 the name with its 0 byte', [LAYOUT, GREETING]],
  ['5.2 the data, if any', [LAYOUT, GREETING]],
  ['5.2 the end guard', [LAYOUT, GREETING]],
  ['5.2 In data, a Limpet', ['classic: only the three words of a bind event']],
  ['5.3 A link is a Unix-domain', ['limpet-ksock: is a path, or host:port']],
  ['5.3 One side is the server', ['limpet-ksock: one side is the server']],
  ['6 Users of the module', MODULE],
  ['7 **New**', TERM],
  ['7 A KBUS Limpet speaks', [EACH, 'joining: a native client that meets a classic server']],
  ['7 A KBUS Limpet that is the server', [GREETING]],
  ['7 It speaks the native link', [EACH]],
  ['7 The native link has none', [NATIVE, EACH]],
  ['7 The native link has the properties', TERM],
  ['7.1 Limpets may form', [NATIVE, 'joining: a ring of three buses']],
  ['7.1 Two Limpets may join', ['joining: one carries, the other stands by', NATIVE]],
  ['7.1 Every message is delivered', [NATIVE, 'joining: a ring of three buses']],
  ['7.1 Nothing circulates', [NATIVE, RING]],
  ['7.1 Redundant links', ['joining: one carries, the other stands by']],
  ['7.1 A bus is never', ['joining: a bus is never joined to itself']],
  ['7.1 A *cycle*', [RING]],
  ['7.1 A Limpet breaks it', [RING, 'joining: a message that comes back over a classic link']],
  ['7.2 Every bus delivers', ['limpet: messages of one sender arrive in order', NATIVE]],
  ['7.2 One order of all', ['joined-conformance: one order of all messages']],
  ['7.3 Each Request that crossed', [NATIVE]],
  ['7.3 The answer is', [NATIVE, 'limpet: a Request whose Replier goes away']],
  ['7.3 `$.KBUS.Limpet.NotSent`', [NATIVE]],
  ['7.3 It is safe', [NATIVE]],
  ['7.3 `$.KBUS.Limpet.LinkLost`', [LOST]],
  ['7.3 The Limpet drops a Reply', [LOST]],
  [
    '7.4 Each bus asks',
    [
      'limpet: with a Replier on both buses',
      'joining: a bus asks the one over the fewest links',
      'joining: of those over as many links',
    ],
  ],
  [
    '7.4 No Limpet dies',
    ['classic: a second bind event, one for a name with a Replier here', NATIVE],
  ],
  ['7.4 When the Replier in use goes', ['joining: a bus asks the one over the fewest links']],
  ['7.4 Stateful Requests stay', [STATEFUL]],
  ['7.5 A lost link is normal', [KEPT]],
  [
    '7.5 The Limpet reconnects',
    [
      'joining: a client that finds nobody waits longer and longer',
      'joining: reconnects when the first attempt fails',
    ],
  ],
  [
    '7.5 While the link is lost, proxies',
    [LOST, 'classic: a link that is lost ends neither Limpet'],
  ],
  ['7.5 While the link is lost, the Limpet keeps', [KEPT, MISSED]],
  ['7.5 The far bus hears', [MISSED]],
  ['7.6 Nothing is lost silently', ['joining: is bounded in bytes; what it misses is counted']],
  ["7.6 The Limpet's own queue", ['joining: is bounded in bytes; what it misses is counted']],
  ['7.6 The Limpet counts', ['joining: is bounded in bytes; what it misses is counted']],
  ['7.7 Each direction', ['joining: each direction has filters']],
  ['7.8 A Unix path', ['joining: an address that is taken is named']],
  [
    '7.8 TCP uses TLS',
    ['joining: TCP with a key file that both ends share', 'joining: TCP with certificates'],
  ],
  ['7.8 Without either', ['joining: without either, TCP is for loopback only']],
  ['7.8 Both ends exchange versions', ['joining: a peer that sends garbage, or another version']],
  ['7.9 `kbus limpets` shows', [SHOWN]],
  ['7.10 A Limpet with several links', ['joining: a ring of three buses']],
  ['7.10 A daemon can run', [DAEMON]],
  ['7.10 `[[limpet]]`', [DAEMON]],
  ['7.10 A program can run one', [KSOCK]],
  ['7.10 `import', ['../package: can be imported and run where it is installed']],
  ['7.10 An engine such as NATS', ['federation: joins any number of buses']],
  ['7.11 All Limpets that name', ['federation: joins any number of buses']],
  ['7.11 Requests, Replies', ['stream: a Request comes after what its sender announced before']],
  ['7.11 The mode says', ['stream: every bus hears what comes from elsewhere in one order']],
  ['7.11 In mode `core`', ['federation: joins any number of buses']],
  ['7.11 In mode `stream`', ['stream: every bus hears what comes from elsewhere in one order']],
  ['7.11 Every bus delivers', ['stream: every bus hears what comes from elsewhere in one order']],
  ['7.11 A bus that was away', ['stream: a bus whose Limpet was away catches up']],
  [
    '7.11 If the stream no longer',
    ['stream: a bus is told how many Announcements the stream does not hold any more'],
  ],
  ['7.11 While the stream takes no', [STREAM_AWAY]],
  ['7.11 It drops and counts', [STREAM_AWAY]],
  ['7.11 The order of a sender', [STREAM_ORDER, 'stream: an Announcement comes after the Request']],
  ['7.11 Whichever', [STREAM_ORDER, 'stream: an Announcement comes after the Request']],
  ['7.11 If what a Request waits for', ['simulator/stream: in new random runs']],
  ['7.11 Only the Limpet', ['stream: says that nothing comes from the stream while']],
  ['7.11 It warns', ['stream: says which Limpets the stream does not reach']],
  ['7.11 A message whose name', ['large-messages: go in pieces, unless the setting says']],
  ['7.11 A Limpet refuses', ['large-messages: a Request gets RemoteError.EMSGSIZE']],
  ['7.11 In place of', ['large-messages: the far buses hear of an Announcement that they miss']],
  ['8 KBUS Limpets must not', TERM],
  ['8 Each was seen', TERM],
  ['8 Loops', [RING]],
  ['8 A bind there', [RING]],
  ['8 Three buses in a row', [ROW]],
  ['8 The middle bus hears', [ROW]],
  ['8 A lost or killed link', ['classic: a link that is lost ends neither Limpet']],
  ['8 Requesters get', ['classic: a link that is lost ends neither Limpet']],
  [
    '8 A name with a Replier on both sides',
    ['classic: a second bind event, one for a name with a Replier here'],
  ],
  ['8 With Python ends', ['limpet: with a Replier on both buses']],
  ["8 A listener's copy", [COPY]],
  ['8 Each time, one more', [COPY]],
  ['8 Pass such a copy', [COPY]],
  ['8 A local stateful', ['classic: a local stateful Request is a message like others']],
  ['8 `RemoteError` never', ['joining: an answer with a bad name becomes a RemoteError']],
  ['8 A classic partner may', ['joining: an answer with a bad name becomes a RemoteError']],
  ['8 ALL_OR_WAIT onto', ['classic: an ALL_OR_WAIT message onto a full queue']],
  ['8 That direction', ['classic: an ALL_OR_WAIT message onto a full queue']],
  ['8 Messages larger', ['classic: large messages that cross both ways']],
  ['8 Always read', ['classic: large messages that cross both ways']],
  ['8 Names that are a prefix', ['classic: names that begin like that of a bind event']],
  ['8 Short or empty', ['joining: a forged bind event, or one with short data']],
  ['8 A well-formed forgery', ['joining: a forged bind event, or one with short data']],
  ['8 Only a SYNTHETIC', ['joining: a forged bind event, or one with short data']],
  ['8 More than 100', ['classic: hundreds of Repliers that are there already']],
  ['8 A huge length', ['classic: a huge length ends the link']],
  ['8 The termination message', ['joining: stops the Limpet, and no message of a name']],
  ['8 A full queue at a Limpet', ['joining: is bounded in bytes; what it misses is counted']],
  ['8 A bind event that cannot', ['classic: binding goes on, however many bind events']],
  ['8 Anyone may connect', ['joining: without either, TCP is for loopback only']],
  ['9 Classic Limpets do', TERM],
  ['9 `final_to.network`', [ARRIVED]],
  ['9 Statuses lose', ['classic: a Status that is sent again has lost SYNTHETIC']],
  ['9 The bytes of C and Python', [GREETING]],
];
