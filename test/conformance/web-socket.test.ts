import { modern } from './modern.ts';
import { original } from './original.ts';
import { webSocket } from './transports.ts';

original(webSocket);
modern(webSocket);
