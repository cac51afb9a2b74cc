/*
 * Words: a scene, and the folder that the device is in (and what the scene needs beside it). What does
 * not hold is printed, and ends the program badly.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kbus.h"

#define HOLDS(what)                                                       \
  do {                                                                    \
    if (!(what)) {                                                        \
      printf("line %d: not so: %s (%s)\n", __LINE__, #what,              \
             strerrorname_np(errno));                                     \
      exit(1);                                                            \
    }                                                                     \
  } while (0)
#define FAILS(call, code) HOLDS((call) == -1 && errno == (code))

static const char *folder;
/* Volatile, so that the compiler does not see through it. */
static char *volatile nowhere = (char *)16;

static int open_bus(int number, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/kbus%d", folder, number);
  return open(path, flags);
}

static int open_one(void) {
  int bus = open_bus(0, O_RDWR);
  HOLDS(bus >= 0);
  return bus;
}

static int with_name(int bus, unsigned long command, int is_replier, const char *name) {
  struct kbus_bind_request argument = {is_replier, strlen(name), (char *)name};
  return ioctl(bus, command, &argument);
}

static struct kbus_message_header header(const char *name, const void *data, uint32_t length) {
  struct kbus_message_header it = {.start_guard = KBUS_START_GUARD, .end_guard = KBUS_END_GUARD};
  it.name_len = strlen(name);
  it.name = (char *)name;
  it.data_len = length;
  it.data = (void *)data;
  return it;
}

/* Writes and sends a pointy message. */
static int send_pointy(int bus, struct kbus_message_header it, struct kbus_msg_id *id) {
  struct kbus_msg_id unwanted;
  if (write(bus, &it, sizeof it) != sizeof it) return -1;
  return ioctl(bus, SEND, id ? id : &unwanted);
}

static int say(int bus, const char *name, const char *data) {
  return send_pointy(bus, header(name, strlen(data) ? data : 0, strlen(data)), 0);
}

static uint32_t word(int bus, unsigned long command) {
  uint32_t it[2] = {0, 0xeeeeeeee};
  HOLDS(ioctl(bus, command, it) >= 0);
  /* Four bytes, and no more. */
  HOLDS(it[1] == 0xeeeeeeee);
  return it[0];
}

static char message[1 << 21];

/* Reads the next message whole; its header, or null. */
static struct kbus_message_header *next(int bus) {
  uint32_t length;
  int there = ioctl(bus, NEXTMSG, &length);
  HOLDS(there == 0 || there == 1);
  if (!there) {
    HOLDS(length == 0);
    return 0;
  }
  HOLDS(read(bus, message, sizeof message) == length);
  return (struct kbus_message_header *)message;
}

static const char *name_of(struct kbus_message_header *it) { return message + sizeof *it; }

static const char *data_of(struct kbus_message_header *it) {
  return name_of(it) + (it->name_len + 4) / 4 * 4;
}

static int can(int bus, short what, int timeout) {
  struct pollfd one = {bus, what, 0};
  int count = poll(&one, 1, timeout);
  HOLDS(count >= 0);
  return one.revents;
}

static void ioctls(void) {
  int bus = open_one();
  HOLDS(ioctl(bus, RESET) == 0);
  HOLDS(word(bus, KSOCKID) == 1);
  HOLDS(with_name(bus, BIND, 1, "$.Fred") == 0);
  HOLDS(with_name(bus, BIND, 0, "$.*") == 0);
  FAILS(with_name(bus, BIND, 7, "$.Fred"), EADDRINUSE);
  struct kbus_bind_query query = {99, 6, "$.Fred"};
  HOLDS(ioctl(bus, REPLIER, &query) == 1 && query.return_id == 1);
  query.name = "$.Jims";
  HOLDS(ioctl(bus, REPLIER, &query) == 0 && query.return_id == 0);
  HOLDS(word(bus, MAXMSGS) == 100);
  uint32_t value[2] = {7, 0xeeeeeeee};
  HOLDS(ioctl(bus, MAXMSGS, value) == 0 && value[0] == 7 && value[1] == 0xeeeeeeee);
  HOLDS(word(bus, MAXMSGS) == 7);
  HOLDS(word(bus, MAXMSGSIZE) == 16 << 20);
  for (int which = 0; which < 3; which++) {
    unsigned long command = which == 0 ? MSGONLYONCE : which == 1 ? VERBOSE : REPORTREPLIERBINDS;
    uint32_t on = 1, ask = 0xffffffff, off = 0, bad = 2;
    HOLDS(ioctl(bus, command, &on) == 0 && on == 0);
    HOLDS(ioctl(bus, command, &ask) == 0 && ask == 1);
    HOLDS(ioctl(bus, command, &off) == 0 && off == 1);
    FAILS(ioctl(bus, command, &bad), EINVAL);
  }
  while (next(bus)) continue;
  struct kbus_msg_id id, last;
  HOLDS(ioctl(bus, SEND, &id) == -1 && errno == ENOMSG);
  struct kbus_message_header request = header("$.Fred", 0, 0);
  request.flags = WANT_A_REPLY;
  HOLDS(send_pointy(bus, request, &id) == 0);
  HOLDS(ioctl(bus, LASTSENT, &last) == 0 && memcmp(&last, &id, sizeof id) == 0);
  HOLDS(word(bus, NUMMSGS) == 2);
  struct kbus_message_header *got = next(bus);
  HOLDS(got->flags == (WANT_A_REPLY | WANT_YOU_TO_REPLY) && got->from == 1);
  HOLDS(word(bus, UNREPLIEDTO) == 1);
  HOLDS(next(bus)->flags == WANT_A_REPLY);
  struct kbus_message_header reply = header("$.Fred", "yes", 3);
  reply.in_reply_to = id;
  reply.to = 1;
  HOLDS(send_pointy(bus, reply, 0) == 0);
  HOLDS(word(bus, UNREPLIEDTO) == 0);
  got = next(bus);
  HOLDS(got->in_reply_to.serial_num == id.serial_num && !memcmp(data_of(got), "yes", 3));
  HOLDS(with_name(bus, UNBIND, 0, "$.*") == 0);
  FAILS(with_name(bus, UNBIND, 0, "$.*"), EINVAL);
  HOLDS(write(bus, &request, 40) == 40);
  HOLDS(ioctl(bus, DISCARD) == 0);
  FAILS(ioctl(bus, SEND, &id), ENOMSG);
  FAILS(ioctl(bus, _IOR('k', 19, char *), &id), ENOTTY);
  FAILS(ioctl(bus, _IOR('k', 4, uint32_t), &id), ENOTTY);
  FAILS(ioctl(bus, _IO('j', 1)), ENOTTY);
  FAILS(open_bus(99, O_RDWR), ENOENT);
  /* As in /dev: nobody but root is so much as asked for a new file. */
  FAILS(open_bus(99, O_RDWR | O_CREAT), geteuid() == 0 ? ENOENT : EACCES);
}

static void pieces(void) {
  int from = open_one(), to = open_one();
  HOLDS(with_name(to, BIND, 0, "$.Hello.There") == 0);
  struct {
    struct kbus_message_header header;
    char rest[16 + 8 + 4];
  } __attribute__((packed)) entire = {header("$.Hello.There", 0, 5), "$.Hello.There"};
  entire.header.name = 0;
  entire.header.data_len = 5;
  memcpy(entire.rest + 16, "Ahem!", 5);
  uint32_t guard = KBUS_END_GUARD;
  memcpy(entire.rest + 24, &guard, 4);
  const char *bytes = (const char *)&entire;
  for (size_t at = 0; at < sizeof entire; at++) HOLDS(write(from, bytes + at, 1) == 1);
  struct kbus_msg_id id;
  HOLDS(ioctl(from, SEND, &id) == 0);
  HOLDS(read(to, message, 10) == 0);
  uint32_t length;
  HOLDS(ioctl(to, NEXTMSG, &length) == 1 && length == sizeof entire);
  for (uint32_t left = length; left > 0; left--) {
    HOLDS(word(to, LENLEFT) == left);
    HOLDS(read(to, message + length - left, 1) == 1);
  }
  HOLDS(read(to, message, 0) == 0 && read(to, message + length, 1) == 0);
  entire.header.id = id;
  entire.header.from = 1;
  HOLDS(memcmp(message, bytes, length) == 0);
  /* What is left of one is dropped. */
  HOLDS(say(from, "$.Hello.There", "one") == 0 && say(from, "$.Hello.There", "two") == 0);
  HOLDS(ioctl(to, NEXTMSG, &length) == 1 && read(to, message, 20) == 20);
  HOLDS(!memcmp(data_of(next(to)), "two", 3));
}

static void large(void) {
  int from = open_one(), to = open_one();
  HOLDS(with_name(to, BIND, 0, "$.A") == 0);
  static char data[3 << 20];
  for (size_t at = 0; at < sizeof data; at++) data[at] = at * 7 + at / 251;
  HOLDS(send_pointy(from, header("$.A", data, sizeof data), 0) == 0);
  uint32_t length;
  HOLDS(ioctl(to, NEXTMSG, &length) == 1 && length == 88 + 4 + sizeof data + 4);
  char *whole = malloc(length + 1);
  HOLDS(read(to, whole, length + 1) == length);
  HOLDS(!memcmp(whole + 92, data, sizeof data));
  /* What was read can be written. */
  HOLDS(write(to, whole, length) == length);
  HOLDS(ioctl(to, SEND, message) == 0);
  HOLDS(ioctl(to, NEXTMSG, &length) == 1);
  memset(whole, 0, length);
  for (uint32_t at = 0; at < length; at += 100000) HOLDS(read(to, whole + at, 100000) > 0);
  HOLDS(!memcmp(whole + 92, data, sizeof data));
}

/* Says it when it is told to, from a process of its own; a byte into the pipe tells. */
static pid_t later(int told[2], void (*then)(void *), void *with) {
  HOLDS(pipe(told) == 0);
  pid_t child = fork();
  if (child != 0) return child;
  char byte;
  close(told[1]);
  HOLDS(read(told[0], &byte, 1) == 1);
  then(with);
  _exit(0);
}

static void speaks(void *name) { HOLDS(say(open_one(), name, "Ahem") == 0); }

static void waits(void) {
  int bus = open_one(), told[2];
  HOLDS(with_name(bus, BIND, 0, "$.A") == 0);
  HOLDS(can(bus, POLLIN | POLLOUT, 0) == POLLOUT);
  HOLDS(can(bus, POLLIN, 10) == 0);
  pid_t child = later(told, speaks, "$.A");
  HOLDS(write(told[1], "!", 1) == 1);
  HOLDS(can(bus, POLLIN, -1) == POLLIN);
  HOLDS(next(bus) && can(bus, POLLIN, 0) == 0);
  HOLDS(waitpid(child, 0, 0) == child);

  fd_set reading, writing;
  struct timeval soon = {0, 10000};
  FD_ZERO(&reading);
  FD_ZERO(&writing);
  FD_SET(bus, &reading);
  HOLDS(select(bus + 1, &reading, 0, 0, &soon) == 0);
  child = later(told, speaks, "$.A");
  FD_SET(bus, &reading);
  HOLDS(write(told[1], "!", 1) == 1);
  HOLDS(select(bus + 1, &reading, 0, 0, 0) == 1);
  FD_SET(bus, &writing);
  HOLDS(select(bus + 1, &reading, &writing, 0, 0) == 2 && next(bus));
  HOLDS(waitpid(child, 0, 0) == child);

  struct epoll_event wanted = {EPOLLIN | EPOLLET, {0}}, got;
  int epoll = epoll_create1(0);
  HOLDS(epoll_ctl(epoll, EPOLL_CTL_ADD, bus, &wanted) == 0);
  HOLDS(epoll_wait(epoll, &got, 1, 10) == 0);
  for (int again = 0; again < 2; again++) {
    /* The first is not read before the second comes: an edge each. */
    child = later(told, speaks, "$.A");
    HOLDS(write(told[1], "!", 1) == 1);
    HOLDS(epoll_wait(epoll, &got, 1, -1) == 1 && got.events == EPOLLIN);
    HOLDS(epoll_wait(epoll, &got, 1, 0) == 0);
    HOLDS(waitpid(child, 0, 0) == child);
  }
  HOLDS(next(bus) && next(bus) && !next(bus));
}

static void reads_one(void *bus) { HOLDS(next(*(int *)bus)); }

static void waits_to_send(void) {
  int from = open_one(), to = open_one(), told[2];
  HOLDS(with_name(to, BIND, 0, "$.A") == 0);
  uint32_t one = 1;
  HOLDS(ioctl(to, MAXMSGS, &one) == 0);
  HOLDS(say(from, "$.A", "first") == 0);
  struct kbus_message_header waiting = header("$.A", "waited", 6);
  waiting.flags = ALL_OR_WAIT;
  struct kbus_msg_id id = {9, 9};
  FAILS(send_pointy(from, waiting, &id), EAGAIN);
  /* Its id is told all the same. */
  HOLDS(id.network_id == 0 && id.serial_num == 2);
  FAILS(write(from, "x", 1), EALREADY);
  HOLDS(can(from, POLLIN | POLLOUT, 10) == 0);
  FAILS(ioctl(from, SEND, &id), EAGAIN);
  pid_t child = later(told, reads_one, &to);
  HOLDS(write(told[1], "!", 1) == 1);
  HOLDS(can(from, POLLOUT, -1) == POLLOUT);
  HOLDS(waitpid(child, 0, 0) == child);
  FAILS(ioctl(from, SEND, &id), ENOMSG);
  struct kbus_message_header *got = next(to);
  HOLDS(got && got->id.serial_num == 2 && !memcmp(data_of(got), "waited", 6));
  /* And given up. */
  HOLDS(say(from, "$.A", "third") == 0);
  FAILS(send_pointy(from, waiting, &id), EAGAIN);
  HOLDS(ioctl(from, DISCARD) == 0 && can(from, POLLOUT, 0) == POLLOUT);
}

static void shared(void) {
  int bus = open_one(), other = open_one();
  int twin = dup(bus);
  HOLDS(word(twin, KSOCKID) == word(bus, KSOCKID));
  HOLDS(with_name(twin, BIND, 1, "$.A") == 0 && close(bus) == 0);
  pid_t child = fork();
  if (child == 0) {
    HOLDS(word(twin, KSOCKID) == 1);
    _exit(0);
  }
  HOLDS(waitpid(child, 0, 0) == child);
  struct kbus_message_header request = header("$.A", 0, 0);
  request.flags = WANT_A_REPLY;
  HOLDS(send_pointy(other, request, 0) == 0 && send_pointy(other, request, 0) == 0);
  HOLDS(next(twin)->flags & WANT_YOU_TO_REPLY);
  child = fork();
  if (child == 0) {
    close(other);
    /* Its end is the last close. */
    raise(SIGKILL);
  }
  close(twin);
  HOLDS(can(other, POLLIN, -1) == POLLIN);
  HOLDS(!strcmp(name_of(next(other)), "$.KBUS.Replier.GoneAway"));
  HOLDS(waitpid(child, 0, 0) == child);
  HOLDS(can(other, POLLIN, -1) == POLLIN);
  HOLDS(!strcmp(name_of(next(other)), "$.KBUS.Replier.Ignored"));
  HOLDS(with_name(other, BIND, 1, "$.A") == 0);
}

static void *speaks_often(void *bus) {
  for (int count = 0; count < 50; count++) HOLDS(say(*(int *)bus, "$.A", "Ahem") == 0);
  return 0;
}

static void threads(void) {
  int to = open_one(), from[4];
  pthread_t thread[4];
  uint32_t many = 1000;
  HOLDS(with_name(to, BIND, 0, "$.A") == 0 && ioctl(to, MAXMSGS, &many) == 0);
  for (int at = 0; at < 4; at++) {
    from[at] = open_one();
    HOLDS(pthread_create(&thread[at], 0, speaks_often, &from[at]) == 0);
  }
  for (int at = 0; at < 4; at++) pthread_join(thread[at], 0);
  uint32_t last = 0, count = 0;
  for (struct kbus_message_header *got; (got = next(to)); count++) {
    HOLDS(got->id.serial_num > last);
    last = got->id.serial_num;
  }
  HOLDS(count == 200);
}

static void rights(void) {
  int reader = open_bus(0, O_RDONLY), writer = open_bus(0, O_WRONLY);
  HOLDS(reader >= 0 && writer >= 0);
  struct kbus_message_header it = header("$.A", 0, 0);
  FAILS(write(reader, &it, sizeof it), EBADF);
  FAILS(read(writer, message, 1), EBADF);
  HOLDS(can(reader, POLLIN | POLLOUT, 0) == 0);
  HOLDS(with_name(reader, BIND, 0, "$.A") == 0);
  HOLDS(say(writer, "$.A", "") == 0);
  HOLDS(can(reader, POLLIN | POLLOUT, 0) == POLLIN && next(reader));
}

static void new_devices(void) {
  int bus = open_one();
  for (uint32_t made = 1; made < 20; made++) {
    HOLDS(word(bus, NEWDEVICE) == made);
    int other = open_bus(made, O_RDWR);
    HOLDS(other >= 0 && word(other, KSOCKID) == 1);
  }
}

static void faults(void) {
  int bus = open_one();
  HOLDS(with_name(bus, BIND, 0, "$.A") == 0);
  FAILS(ioctl(bus, BIND, nowhere), EFAULT);
  FAILS(ioctl(bus, KSOCKID, nowhere), EFAULT);
  FAILS(ioctl(bus, MAXMSGS, nowhere), EFAULT);
  struct kbus_bind_request argument = {0, 3, nowhere};
  for (int at = 0; at < 3; at++) {
    argument.name = at == 0 ? nowhere : at == 1 ? (char *)-8 : (char *)0xffff800000000000;
    FAILS(ioctl(bus, BIND, &argument), EFAULT);
    FAILS(ioctl(bus, UNBIND, &argument), EFAULT);
    FAILS(ioctl(bus, REPLIER, &argument), EFAULT);
    FAILS(send_pointy(bus, header("$.A", argument.name, 4), 0), EFAULT);
    FAILS(ioctl(bus, SEND, message), ENOMSG);
    struct kbus_message_header it = header("$.A", 0, 0);
    it.name = argument.name;
    FAILS(send_pointy(bus, it, 0), EFAULT);
  }
  FAILS(write(bus, nowhere, 88), EFAULT);
  /* The last bytes before a page that isn't there. */
  long page = sysconf(_SC_PAGESIZE);
  char *two = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  HOLDS(munmap(two + page, page) == 0);
  memcpy(two + page - 3, "$.A", 3);
  struct kbus_bind_request edge = {0, 3, two + page - 3};
  HOLDS(ioctl(bus, BIND, &edge) == 0);
  edge.name_len = 4;
  FAILS(ioctl(bus, BIND, &edge), EFAULT);
  memcpy(two + page - 8, "\0\0\0\0\3\0\0\0", 8);
  FAILS(ioctl(bus, BIND, two + page - 8), EFAULT);
  edge.name_len = 0xffffffff;
  FAILS(ioctl(bus, BIND, &edge), ENAMETOOLONG);
  struct kbus_message_header it = header("$.A", "x", 0xfffffffd);
  FAILS(write(bus, &it, sizeof it), EMSGSIZE);
  it.name_len = 0xffffffff;
  FAILS(write(bus, &it, sizeof it), ENAMETOOLONG);
  HOLDS(say(bus, "$.A", "it goes on") == 0);
}

/* Its memory is the device itself, so that whoever reads it asks the device for it. */
static void lends(void) {
  int bus = open_one();
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, bus, 0);
  HOLDS(page != MAP_FAILED);
  HOLDS(with_name(bus, BIND, 0, "$.A") == 0);
  /* The kernel looks for pages only where it thinks that the file has bytes. */
  HOLDS(say(bus, "$.A", "Ahem") == 0);
  struct kbus_bind_request argument = {0, 3, page};
  FAILS(ioctl(bus, BIND, &argument), EFAULT);
  FAILS(send_pointy(bus, header("$.A", page, 4), 0), EFAULT);
  HOLDS(next(bus));
}

static void note(int signal) { (void)signal; }

/* A program with a timer expects no call to end early that the module did not end early. */
static void signals(void) {
  int bus = open_one();
  struct sigaction action = {.sa_handler = note};
  struct itimerval often = {{0, 200}, {0, 200}};
  HOLDS(sigaction(SIGALRM, &action, 0) == 0 && setitimer(ITIMER_REAL, &often, 0) == 0);
  for (int count = 0; count < 300; count++) {
    HOLDS(with_name(bus, BIND, 0, "$.A") == 0);
    HOLDS(say(bus, "$.A", "Ahem") == 0 && next(bus));
    HOLDS(with_name(bus, UNBIND, 0, "$.A") == 0);
  }
}

/* Its memory never comes; it says when it is about to ask. */
static void stuck(const char *never) {
  int bus = open_one(), file = open(never, O_RDWR);
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  HOLDS(page != MAP_FAILED && write(file, "Hello there", 11) == 11);
  struct kbus_bind_request argument = {0, 3, page};
  puts("asks");
  fflush(stdout);
  HOLDS(ioctl(bus, BIND, &argument) == 12345);
}

int main(int count, char **words) {
  const char *scene = words[1];
  folder = words[2];
  alarm(20);
#define SCENE(it) \
  if (!strcmp(scene, #it)) return it(), puts("done"), 0;
  SCENE(ioctls)
  SCENE(pieces)
  SCENE(large)
  SCENE(waits)
  SCENE(waits_to_send)
  SCENE(shared)
  SCENE(threads)
  SCENE(rights)
  SCENE(new_devices)
  SCENE(faults)
  SCENE(lends)
  SCENE(signals)
  if (!strcmp(scene, "stuck") && count > 3) return stuck(words[3]), 0;
  return puts("no such scene"), 2;
}
