import { modern } from './modern.ts';
import { original } from './original.ts';
import { inFrames, inFramesByteByByte } from './transports.ts';

for (const transport of [inFrames, inFramesByteByByte]) {
  original(transport);
  modern(transport);
}
