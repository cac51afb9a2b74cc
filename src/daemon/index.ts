/** A daemon inside a program of one's own: `import { Daemon } from 'kbus/daemon'`. */
export { DirectoryError, SocketPathError } from '../client/directory.ts';
export { Daemon, type DaemonOptions } from './daemon.ts';
export { FolderError } from './folders.ts';
export { type Level, Log, type LogFormat } from './log.ts';
export { type Ownership, SocketInUseError } from './socket-file.ts';
