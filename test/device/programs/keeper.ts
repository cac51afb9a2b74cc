/**
 * Keeps a slate mounted on a folder, until it is told otherwise on its standard input. Words: the
 * folder; how to read requests.
 */
import { once } from 'node:events';
import { serve } from '../../../src/fuse/connection.ts';
import { mount } from '../../../src/fuse/mount.ts';
import { readInThreads, readRequests } from '../../../src/fuse/reader.ts';
import { Slate } from '../slate.ts';

const [, , folder, how] = process.argv;
try {
  const { descriptor } = await mount(folder!);
  const reader = how === 'in threads' ? readInThreads : readRequests;
  await serve(descriptor, new Slate(), reader).ready;
  const inThreads = process.getActiveResourcesInfo().includes('FSReqCallback');
  console.log(`mounted, read ${inThreads ? 'in threads' : 'by polling'}`);
  const [word] = (await once(process.stdin, 'data')) as [Buffer];
  if (word.toString() === 'exit') process.exit(7);
  throw new Error('thrown');
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  console.log(`${code}: ${message}`);
  throw error;
}
