import type { McapSource } from '../../recording/mcap-reader.ts';

/** A file that the user gave to the page. */
export class DroppedFile implements McapSource {
  readonly path: string;
  readonly size: number;
  private readonly file: File;

  constructor(file: File) {
    this.file = file;
    this.path = file.name;
    this.size = file.size;
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    return new Uint8Array(await this.file.slice(at, at + length).arrayBuffer());
  }

  crc32(bytes: Uint8Array): number {
    let crc = ~0;
    for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number);
    return ~crc >>> 0;
  }

  async close(): Promise<void> {}
}

/** The CRC-32 of each byte; browsers have none of their own. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
