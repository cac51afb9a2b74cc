/** To run a daemon inside your own program: `import { Daemon } from 'kbus/daemon'`. */

export { FolderError } from '../system/made-folders.ts';
export { DirectoryError, SocketPathError } from '../system/socket-folder.ts';
export { Daemon, type DaemonOptions } from './daemon.ts';
export { type Level, Log, type LogFormat } from './log.ts';
export { type Ownership, SocketInUseError } from './socket-file.ts';
