import { original } from './original.ts';
import { unixSocket } from './transports.ts';

original(unixSocket);
