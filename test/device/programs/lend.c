/*
 * Words: the slate; anything more, to say where the page and another word are, and keep them until the
 * input ends.
 *
 * Lends out memory that is a page of the slate itself: whoever reads it asks the slate for the page. The
 * kernel looks for pages only where the file has bytes, so the slate is written to first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **words) {
  int slate = open(words[1], O_RDWR);
  struct {
    uint32_t flag;
    uint32_t length;
    const char *text;
  } argument = {0, 11, 0};
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, slate, 0);
  if (page == MAP_FAILED) return perror("mmap"), 1;
  if (write(slate, "Hello there", 11) != 11) return perror("write"), 1;
  if (count > 2) {
    printf("%lu %lu\n", (unsigned long)page, (unsigned long)"Ahem");
    fflush(stdout);
    return getchar() != EOF;
  }
  argument.text = page;
  int result = ioctl(slate, _IOW('k', 2, char *), &argument);
  printf("lent %d %s\n", result, result < 0 ? strerrorname_np(errno) : "-");
  return 0;
}
