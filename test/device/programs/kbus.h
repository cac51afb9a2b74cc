/* What a program of the kernel module's time has of its header file. */
#include <stdint.h>
#include <sys/ioctl.h>

struct kbus_msg_id {
  uint32_t network_id;
  uint32_t serial_num;
};

struct kbus_message_header {
  uint32_t start_guard;
  struct kbus_msg_id id;
  struct kbus_msg_id in_reply_to;
  uint32_t to;
  uint32_t from;
  uint32_t orig_from[2];
  uint32_t final_to[2];
  uint32_t extra;
  uint32_t flags;
  uint32_t name_len;
  uint32_t data_len;
  char *name;
  void *data;
  uint32_t end_guard;
};

struct kbus_bind_request {
  uint32_t is_replier;
  uint32_t name_len;
  char *name;
};

struct kbus_bind_query {
  uint32_t return_id;
  uint32_t name_len;
  char *name;
};

#define KBUS_START_GUARD 0x7375624B
#define KBUS_END_GUARD 0x4B627573
#define WANT_A_REPLY 1
#define WANT_YOU_TO_REPLY 2
#define SYNTHETIC 4
#define ALL_OR_WAIT 256

#define RESET _IO('k', 1)
#define BIND _IOW('k', 2, char *)
#define UNBIND _IOW('k', 3, char *)
#define KSOCKID _IOR('k', 4, char *)
#define REPLIER _IOWR('k', 5, char *)
#define NEXTMSG _IOR('k', 6, char *)
#define LENLEFT _IOR('k', 7, char *)
#define SEND _IOR('k', 8, char *)
#define DISCARD _IO('k', 9)
#define LASTSENT _IOR('k', 10, char *)
#define MAXMSGS _IOWR('k', 11, char *)
#define NUMMSGS _IOR('k', 12, char *)
#define UNREPLIEDTO _IOR('k', 13, char *)
#define MSGONLYONCE _IOWR('k', 14, char *)
#define VERBOSE _IOWR('k', 15, char *)
#define NEWDEVICE _IOR('k', 16, char *)
#define REPORTREPLIERBINDS _IOWR('k', 17, char *)
#define MAXMSGSIZE _IOWR('k', 18, char *)
