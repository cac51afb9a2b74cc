/** A daemon inside a program of one's own: `import { Daemon } from 'kbus/daemon'`. */
export { Daemon, type DaemonOptions } from './daemon.ts';
export { type Level, Log, type LogFormat } from './log.ts';
export { type Ownership, SocketInUseError, SocketPathError } from './socket-file.ts';
