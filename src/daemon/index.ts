/** To run a daemon inside your own program: `import { Daemon } from 'kbus/daemon'`. */

export { type AccessRules, RIGHTS, type Right } from '../bus/access.ts';
export { FolderError } from '../system/made-folders.ts';
export { DirectoryError, SocketPathError } from '../system/socket-folder.ts';
export { WebError } from '../web/web-error.ts';
export type { WebOptions } from '../web/web-server.ts';
export type { AccessPoint } from './access-points.ts';
export { Daemon, type DaemonOptions, type DeviceFiles } from './daemon.ts';
export { type Level, Log, type LogFormat } from './log.ts';
export { type Ownership, SocketInUseError } from './socket-file.ts';
