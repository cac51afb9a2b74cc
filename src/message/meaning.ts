import type { Call, ErrorCode } from './errno.ts';
import { MORE_MEANINGS } from './more-meanings.ts';
import { OWN_MEANINGS } from './own-meanings.ts';

/** What an error means for a call of a client. */
export function meaningOf(call: Call, code: ErrorCode): string {
  return (
    OWN_MEANINGS[call]?.[code] ??
    MORE_MEANINGS[call]?.[code] ??
    OWN_MEANINGS.any?.[code] ??
    `KBUS gave no reason; see \`kbus errno ${code}\``
  );
}
