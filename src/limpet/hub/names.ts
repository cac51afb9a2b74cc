/** The names of what Limpets say themselves begin with this. No Limpet passes a message on that a program sends so. */
export const LIMPET_NAMES = '$.KBUS.Limpet.';

/** The Announcement to a bus that messages for it are lost; its data is the number of messages, as text (spec 3 §7.5). */
export const MISSED = '$.KBUS.Limpet.Missed';

/**
 * No Request has this number. An entry that answers it tells a Limpet that has started again how many messages of the stream its last
 * life had heard, in the place of the number that MISSED has.
 */
export const EARLIER_LIFE = Number.MAX_SAFE_INTEGER;

/** The Status for a Request that never left this bus: the link was lost before (spec 3 §7.3). */
export const NOT_SENT = '$.KBUS.Limpet.NotSent';

/** The Status for a Request that another bus may have carried out: the link was lost meanwhile (spec 3 §7.3). */
export const LINK_LOST = '$.KBUS.Limpet.LinkLost';

/** The Status for a Request that another bus has refused: this and the name of its error (spec 3 §3.5). */
export const REMOTE_ERROR = '$.KBUS.RemoteError.';

/** The Status for a stateful Request whose Replier is no more the one it is for (spec 3 §3.3). */
export const NOT_SAME_KSOCK = '$.KBUS.Replier.NotSameKsock';

/** The Status for a stateful Request that has no Replier any more (spec 3 §3.3). */
export const GONE_AWAY = '$.KBUS.Replier.GoneAway';
