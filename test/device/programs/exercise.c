/* Does to a slate what existing programs do to a bus, and says what came of it: one line a call. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <unistd.h>

#define LENGTH _IOR('k', 7, char *)
#define PUT _IOW('k', 2, char *)
#define AGAIN _IOR('k', 8, char *)

struct put {
  uint32_t flag;
  uint32_t length;
  const char *text;
};

static void say(const char *call, long result) {
  printf("%s %ld %s\n", call, result, result < 0 ? strerrorname_np(errno) : "-");
}

static int put(int slate, const char *text, uint32_t length) {
  struct put argument = {0, length, text};
  return ioctl(slate, PUT, &argument);
}

static int polled(int slate, short events, int timeout) {
  struct pollfd one = {slate, events, 0};
  return poll(&one, 1, timeout) < 0 ? -1 : one.revents;
}

int main(int count, char **words) {
  int slate = open(words[1], O_RDWR);
  uint32_t numbers[2] = {0xAAAAAAAA, 0xBBBBBBBB};
  char text[64] = "";
  (void)count;

  say("open", slate >= 0 ? 0 : -1);
  say("read nothing", read(slate, text, sizeof text));
  say("poll", polled(slate, POLLIN | POLLOUT, 0));
  say("write", write(slate, "Ahem", 4));
  say("poll", polled(slate, POLLIN | POLLOUT, 0));
  say("LENGTH", ioctl(slate, LENGTH, numbers));
  printf("numbers %u %x\n", numbers[0], numbers[1]);
  say("AGAIN", ioctl(slate, AGAIN, numbers));
  printf("numbers %u %u\n", numbers[0], numbers[1]);
  say("read", read(slate, text, 3));
  printf("text %.3s\n", text);
  say("read", read(slate, text, sizeof text));
  say("PUT", put(slate, "Hello there", 11));
  say("PUT from nowhere", put(slate, (const char *)16, 11));
  say("PUT no pointer", ioctl(slate, PUT, (void *)16));
  say("PUT past all memory", put(slate, (const char *)0xfffffffffffffff0ULL, 11));
  say("no such ioctl", ioctl(slate, _IO('k', 99)));
  memset(text, 0, sizeof text);
  say("read", read(slate, text, sizeof text));
  printf("text %s\n", text);

  /* Who waits is woken by what another program does. */
  if (fork() == 0) {
    int other = open(words[1], O_WRONLY);
    struct pollfd none = {-1, 0, 0};
    poll(&none, 1, 50);
    _exit(write(other, "a", 1) == 1 ? 0 : 1);
  }
  say("poll waits", polled(slate, POLLIN, 10000));
  say("read", read(slate, text, sizeof text));
  if (fork() == 0) {
    struct pollfd none = {-1, 0, 0};
    poll(&none, 1, 50);
    _exit(write(slate, "b", 1) == 1 ? 0 : 1);
  }
  int set = epoll_create1(0);
  struct epoll_event event = {EPOLLIN, {0}};
  epoll_ctl(set, EPOLL_CTL_ADD, slate, &event);
  say("epoll waits", epoll_wait(set, &event, 1, 10000));
  say("read", read(slate, text, sizeof text));
  say("epoll again", epoll_wait(set, &event, 1, 0));
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(slate, &readable);
  struct timeval soon = {0, 20000};
  say("select in vain", select(slate + 1, &readable, 0, 0, &soon));

  say("close", close(slate));
  return 0;
}
