// A busy neighbour: one process that uses a core while it is told to, by `true` and `false` over Node's
// IPC channel. It confirms each with the same, and ends when the channel is closed.
let busy = false;

/** In slices, so that it hears when to stop, and that its parent is gone. */
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
