import { original } from './original.ts';
import { inFrames, inFramesByteByByte } from './transports.ts';

original(inFrames);
original(inFramesByteByByte);
