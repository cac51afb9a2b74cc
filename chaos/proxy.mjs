// Stands between two ends of a link: node proxy.mjs <path> <path of the server>. To kill it cuts the link.
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import process from 'node:process';

const [path = '', to = ''] = process.argv.slice(2);

// A killed one has left its socket.
rmSync(path, { force: true });
createServer((near) => {
  const far = connect({ path: to });
  for (const [one, other] of [
    [near, far],
    [far, near],
  ]) {
    one?.on('error', () => {});
    one?.on('close', () => other?.destroy());
    if (other !== undefined) one?.pipe(other);
  }
}).listen(path, () => console.log('ready'));
process.on('disconnect', () => process.exit());
