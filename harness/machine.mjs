// Reads /proc: facts about the machine and its processes.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';

/** Clock ticks per second in /proc, on every Linux that Node runs on. */
const TICKS = 100;

/** CPU seconds, user and system, of all threads of a process. NaN if it has exited.
 * @param {number} pid */
export function cpuOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name, may contain blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return Number.NaN;
  }
}

/** The same of the children of this process that have exited. */
export function cpuOfExited() {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

/** What cpuOf gives, in nanoseconds, of the current threads. @param {number} pid */
export function cpuNanoseconds(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [ran] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ');
    return sum + Number(ran);
  }, 0);
}

/** A line of a process's status, in bytes. NaN if it has exited. @param {number} pid @param {string} name */
function statusOf(pid, name) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const [, kib] = status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm')) ?? [];
    return Number(kib) * 1024;
  } catch {
    return Number.NaN;
  }
}

/** The memory in use by a process, in bytes. NaN if it has exited. @param {number} pid */
export const memoryOf = (pid) => statusOf(pid, 'VmRSS');

/** The peak memory of a process, in bytes. NaN if it has exited. @param {number} pid */
export const peakMemoryOf = (pid) => statusOf(pid, 'VmHWM');

/** Busy CPU seconds of all cores since the machine started, including the time that the
 * hypervisor gave to other machines. */
function busy() {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? ''
  )
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS;
}

/**
 * Measures the cores that other programs use, until the returned function is called.
 *
 * @param {() => number} ours  CPU seconds of our processes
 */
export function watchOthers(ours) {
  const before = { busy: busy(), ours: ours(), at: performance.now() };
  return () => {
    const took = (performance.now() - before.at) / 1000;
    return Math.max(0, (busy() - before.busy - (ours() - before.ours)) / took);
  };
}

/** @typedef {ReturnType<typeof machine>} Machine */

/** @param {string} node the version of the binary that runs everything */
export const machine = (node) => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  kernel: `${type()} ${release()}`,
  node,
});
