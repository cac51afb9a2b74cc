import { execFile } from 'node:child_process';
import process from 'node:process';
import type { Log } from '../daemon/log.ts';

/**
 * Tells systemd that the daemon serves, if its unit has Type=notify. Node can't send a datagram to a Unix socket without
 * native code, so systemd's own program does it: the unit needs NotifyAccess=all.
 */
export function notifySystemd(status: string, log: Log): void {
  const env = { ...process.env };
  // Further children, and theirs, must not speak for the daemon.
  delete process.env['NOTIFY_SOCKET'];
  execFile('systemd-notify', ['--ready', `--status=${status}`], { env }, (error) => {
    if (error === null) return;
    const why = error.message.trim().replaceAll('\n', ': ');
    log.warn(`systemd does not know that the daemon serves: ${why}`);
  });
}
