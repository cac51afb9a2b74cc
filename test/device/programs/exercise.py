"""Does to a slate what existing Python programs do to a bus: a buffered file, fcntl and select."""
import fcntl
import select
import struct
import sys

LENGTH = 0x80086B07
AGAIN = 0x80086B08

with open(sys.argv[1], "r+b", 1) as slate:
    slate.write(b"Were you speaking ")
    slate.flush()
    slate.write(b"to me?")
    slate.flush()
    print(struct.unpack("=L", fcntl.ioctl(slate, LENGTH, b"    "))[0])
    try:
        fcntl.ioctl(slate, AGAIN, b"\0" * 8)
    except OSError as error:
        print(error.errno)
    print(select.select([slate], [slate], [], 10) == ([slate], [slate], []))
    print(slate.read(9).decode())
    print(slate.read(100).decode())
    print(select.select([slate], [], [], 0) == ([], [], []))
