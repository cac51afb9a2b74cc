"""As for the kernel module: a Request, and its Reply. Word: the bus, such as /dev/kbus0."""
import ctypes
import fcntl
import struct
import sys

BIND, NEXTMSG, SEND = 0x40086B02, 0x80086B06, 0x80086B08
HEADER = struct.Struct("=I2I2III2I2I4I4xQQI4x")
START, END = 0x7375624B, 0x4B627573
path = sys.argv[1] if len(sys.argv) > 1 else "/dev/kbus0"


def padded(text):
    return text + b"\0" * (-len(text) % 4)


class Ksock:
    def __init__(self):
        self.file = open(path, "r+b", buffering=0)

    def bind(self, name, replier=False):
        text = ctypes.create_string_buffer(name)
        fcntl.ioctl(self.file, BIND, struct.pack("=IIQ", replier, len(name), ctypes.addressof(text)))

    def send(self, name, data, flags=0, to=0, reply=(0, 0)):
        lengths = (flags, len(name), len(data))
        head = HEADER.pack(START, 0, 0, *reply, to, 0, 0, 0, 0, 0, 0, *lengths, 0, 0, END)
        self.file.write(head + padded(name + b"\0") + padded(data) + struct.pack("=I", END))
        return struct.unpack("=2I", fcntl.ioctl(self.file, SEND, bytes(8)))

    def read(self):
        (length,) = struct.unpack("=I", fcntl.ioctl(self.file, NEXTMSG, bytes(4)))
        whole = self.file.read(length)
        fields = HEADER.unpack_from(whole)
        at = HEADER.size + len(padded(whole[HEADER.size : HEADER.size + fields[13]] + b"\0"))
        return fields, whole[at : at + fields[14]]


guildenstern, rosencrantz = Ksock(), Ksock()
guildenstern.bind(b"$.Ask.Guildenstern", replier=True)
rosencrantz.send(b"$.Ask.Guildenstern", b"Were you speaking to me?", flags=1)

fields, data = guildenstern.read()
print(data.decode())
guildenstern.send(b"$.Ask.Guildenstern", b"Yes, I was", to=fields[6], reply=fields[1:3])

print(rosencrantz.read()[1].decode())
