/* As for the kernel module: sends an Announcement, and reads it. Word: the bus, such as /dev/kbus0. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct bind { uint32_t is_replier, name_len; char *name; };
struct message {
  uint32_t start, id[2], in_reply_to[2], to, from, orig_from[2], final_to[2], extra, flags;
  uint32_t name_len, data_len;
  char *name;
  void *data;
  uint32_t end;
};

#define BIND _IOW('k', 2, char *)
#define NEXTMSG _IOR('k', 6, char *)
#define SEND _IOR('k', 8, char *)

int main(int count, char **words) {
  int bus = open(count > 1 ? words[1] : "/dev/kbus0", O_RDWR);
  if (bus < 0) return perror("open"), 1;

  struct bind listen = {0, 7, "$.Actor"};
  if (ioctl(bus, BIND, &listen) < 0) return perror("bind"), 1;

  struct message ahem = {.start = 0x7375624B, .name_len = 7, .data_len = 4, .name = "$.Actor", .data = "Ahem", .end = 0x4B627573};
  uint32_t id[2];
  if (write(bus, &ahem, sizeof ahem) < 0 || ioctl(bus, SEND, id) < 0) return perror("send"), 1;
  printf("sent [%u:%u]\n", id[0], id[1]);

  uint32_t length;
  char whole[1024];
  if (ioctl(bus, NEXTMSG, &length) < 1 || length > sizeof whole) return 1;
  if (read(bus, whole, length) != length) return 1;
  /* An entire message: the header, the name and its 0, padded to 4 bytes, then the data. */
  printf("read %s: %.4s\n", whole + sizeof ahem, whole + sizeof ahem + 8);
  return 0;
}
