import { crc32 } from '../../base/crc32.ts';
import type { McapSource } from '../../recording/mcap-reader.ts';

/** A file that the user gave to the page, or one that the page has made. */
export class BlobSource implements McapSource {
  readonly path: string;
  readonly size: number;
  private readonly blob: Blob;

  constructor(blob: Blob, path: string) {
    this.blob = blob;
    this.path = path;
    this.size = blob.size;
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    return new Uint8Array(await this.blob.slice(at, at + length).arrayBuffer());
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  async close(): Promise<void> {}
}

/** Where `kbus web recording.mcap` serves its file. */
const SERVED = '/recording.mcap';

/** The file of `kbus web recording.mcap`. */
export class ServedSource implements McapSource {
  readonly path: string;
  readonly size: number;
  private readonly token: string;

  private constructor(path: string, size: number, token: string) {
    this.path = path;
    this.size = size;
    this.token = token;
  }

  /** Throws an Error that says why there is none. */
  static async open(name: string, token: string): Promise<ServedSource> {
    const answer = await fetch(SERVED, { method: 'HEAD', headers: authorization(token) });
    if (!answer.ok) throw new Error(await whyNot(answer, name));
    return new ServedSource(name, Number(answer.headers.get('content-length')), token);
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    if (length === 0 || at >= this.size) return new Uint8Array(0);
    const range = { range: `bytes=${at}-${at + length - 1}` };
    const answer = await fetch(SERVED, { headers: { ...authorization(this.token), ...range } });
    if (!answer.ok) throw new Error(await whyNot(answer, this.path));
    return new Uint8Array(await answer.arrayBuffer());
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  async close(): Promise<void> {}
}

const authorization = (token: string): Record<string, string> => ({
  authorization: `Bearer ${token}`,
});

async function whyNot(answer: Response, name: string): Promise<string> {
  if (answer.status === 404) return `this daemon serves no recording: open ${name} with kbus web`;
  return `${name} can't be read: ${(await answer.text()).trim() || answer.status}`;
}
