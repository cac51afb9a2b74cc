// A busy neighbour: a process that keeps a core busy from `true` to `false`, messages over Node's
// IPC channel. It confirms each message with the same one, and exits when the channel is closed.
let busy = false;

/** Works in slices, so that it gets messages, and notices the end of its parent. */
function spin() {
  const end = performance.now() + 5;
  while (performance.now() < end);
  if (busy) setImmediate(spin);
}

process.on('message', (/** @type {boolean} */ wanted) => {
  if (wanted && !busy) setImmediate(spin);
  busy = wanted;
  process.send?.(wanted);
});
process.on('disconnect', () => process.exit(0));
