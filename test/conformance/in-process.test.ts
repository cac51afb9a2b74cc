import { modern } from './modern.ts';
import { original } from './original.ts';
import { inProcess } from './transports.ts';

original(inProcess);
modern(inProcess);
