import { original } from './original.ts';
import { inProcess } from './transports.ts';

original(inProcess);
