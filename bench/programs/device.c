/*
 * Arguments: the work, the file of a bus, the number of repetitions. Works on /dev/kbusN as a program of the kernel
 * module's time would, and prints figures: "median 99th-percentile" in ns, or messages per second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../test/device/programs/kbus.h"

#define MUST(what) \
  if (!(what)) exit((perror(#what), 1))

static char message[65536];
static char data[64];

static long now(void) {
  struct timespec it;
  clock_gettime(CLOCK_MONOTONIC, &it);
  return it.tv_sec * 1000000000L + it.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

static void print(long *times, long count) {
  qsort(times, count, sizeof *times, by_size);
  printf("%ld %ld\n", times[count / 2], times[count * 99 / 100]);
}

static void bind_to(int bus, const char *name, int is_replier) {
  struct kbus_bind_request it = {is_replier, strlen(name), (char *)name};
  MUST(ioctl(bus, BIND, &it) == 0);
}

/* Entire, so that the daemon need not read the memory of this program. */
static size_t make(char *bytes, const char *name, uint32_t flags) {
  struct kbus_message_header it = {.start_guard = KBUS_START_GUARD, .end_guard = KBUS_END_GUARD};
  uint32_t guard = KBUS_END_GUARD;
  it.name_len = strlen(name);
  it.data_len = sizeof data;
  it.flags = flags;
  size_t data_at = sizeof it + (it.name_len + 4) / 4 * 4;
  memset(bytes, 0, data_at);
  memcpy(bytes, &it, sizeof it);
  memcpy(bytes + sizeof it, name, it.name_len);
  memcpy(bytes + data_at, data, sizeof data);
  memcpy(bytes + data_at + sizeof data, &guard, 4);
  return data_at + sizeof data + 4;
}

static int send(int bus, const char *bytes, size_t length) {
  struct kbus_msg_id id;
  MUST(write(bus, bytes, length) == (ssize_t)length);
  return ioctl(bus, SEND, &id);
}

static void wait_until(int bus, short what) {
  struct pollfd one = {bus, what, 0};
  MUST(poll(&one, 1, -1) == 1);
}

/* Reads the next message, waiting for it. */
static struct kbus_message_header *next(int bus) {
  uint32_t length;
  while (ioctl(bus, NEXTMSG, &length) == 0) wait_until(bus, POLLIN);
  MUST(read(bus, message, sizeof message) == length);
  return (struct kbus_message_header *)message;
}

int main(int words, char **word) {
  MUST(words == 4);
  const char *what = word[1];
  int bus = open(word[2], O_RDWR);
  MUST(bus >= 0);
  long count = atol(word[3]), *times = calloc(count, sizeof *times);
  char bytes[512];
  uint32_t many = 1000;
  if (!strcmp(what, "ioctl")) {
    for (long at = 0; at < count; at++) {
      uint32_t number;
      long start = now();
      MUST(ioctl(bus, NUMMSGS, &number) == 0);
      times[at] = now() - start;
    }
    print(times, count);
  } else if (!strcmp(what, "send")) {
    size_t length = make(bytes, "$.Bench.Nobody", 0);
    for (long at = 0; at < count; at++) {
      long start = now();
      MUST(send(bus, bytes, length) == 0);
      times[at] = now() - start;
    }
    print(times, count);
  } else if (!strcmp(what, "answer")) {
    bind_to(bus, "$.Bench.Ask", 1);
    puts("ready");
    fflush(stdout);
    size_t length = make(bytes, "$.Bench.Ask", 0);
    struct kbus_message_header *reply = (struct kbus_message_header *)bytes;
    for (;;) {
      struct kbus_message_header *request = next(bus);
      reply->in_reply_to = request->id;
      reply->to = request->from;
      MUST(send(bus, bytes, length) == 0);
    }
  } else if (!strcmp(what, "ask")) {
    size_t length = make(bytes, "$.Bench.Ask", WANT_A_REPLY);
    for (long at = 0; at < count; at++) {
      long start = now();
      MUST(send(bus, bytes, length) == 0);
      next(bus);
      times[at] = now() - start;
    }
    print(times, count);
  } else if (!strcmp(what, "listen")) {
    bind_to(bus, "$.Bench.Tell", 0);
    MUST(ioctl(bus, MAXMSGS, &many) == 0);
    puts("ready");
    fflush(stdout);
    next(bus);
    long start = now();
    for (long at = 1; at < count; at++) next(bus);
    printf("%.0f\n", (count - 1) * 1e9 / (now() - start));
  } else if (!strcmp(what, "tell")) {
    size_t length = make(bytes, "$.Bench.Tell", ALL_OR_WAIT);
    for (long at = 0; at < count; at++) {
      if (send(bus, bytes, length) == 0) continue;
      MUST(errno == EAGAIN);
      wait_until(bus, POLLOUT);
    }
  }
  return 0;
}
