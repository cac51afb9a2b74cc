import { modern } from './modern.ts';
import { original } from './original.ts';
import { unixSocket } from './transports.ts';

original(unixSocket);
modern(unixSocket);
