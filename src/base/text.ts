const encoder = new TextEncoder();
// What was sent is what comes: a byte order mark is a character like any other.
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text as UTF-8; a lone surrogate, which UTF-8 can't have, becomes U+FFFD. */
export function bytesOfText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** What is not UTF-8 becomes U+FFFD. */
export function textOf(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/** The text, if the bytes are UTF-8. */
export function textIfUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
