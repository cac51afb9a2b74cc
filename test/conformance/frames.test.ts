import { modern } from './modern.ts';
import { original } from './original.ts';
import { inFrames, inFramesByteByByte, inShortTurns } from './transports.ts';

for (const transport of [inFrames, inFramesByteByByte, inShortTurns]) {
  original(transport);
  modern(transport);
}
