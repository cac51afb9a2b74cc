/**
 * The ioctls of the device (spec 2 §5.1): direction << 30 | size of the argument << 16 | 'k' << 8 | number. The size is
 * that of a pointer on a 64-bit machine, 8, whatever the argument is. In a 32-bit program it is 4, so its ioctls match
 * none of these.
 */
const READ = 2;
const WRITE = 1;

function code(direction: number, number: number): number {
  const size = direction === 0 ? 0 : 8;
  return ((direction << 30) | (size << 16) | (0x6b << 8) | number) >>> 0;
}

/** The second argument of ioctl(2). */
export const Ioctl = {
  RESET: code(0, 1),
  /** struct {u32 is_replier; u32 name_len; char *name} */
  BIND: code(WRITE, 2),
  UNBIND: code(WRITE, 3),
  KSOCKID: code(READ, 4),
  /** struct {u32 return_id; u32 name_len; char *name} */
  REPLIER: code(READ | WRITE, 5),
  NEXTMSG: code(READ, 6),
  LENLEFT: code(READ, 7),
  SEND: code(READ, 8),
  DISCARD: code(0, 9),
  LASTSENT: code(READ, 10),
  MAXMSGS: code(READ | WRITE, 11),
  NUMMSGS: code(READ, 12),
  UNREPLIEDTO: code(READ, 13),
  MSGONLYONCE: code(READ | WRITE, 14),
  VERBOSE: code(READ | WRITE, 15),
  NEWDEVICE: code(READ, 16),
  REPORTREPLIERBINDS: code(READ | WRITE, 17),
  MAXMSGSIZE: code(READ | WRITE, 18),
} as const;
