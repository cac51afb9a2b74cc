"""
Words: the folder of a device. Uses it as a program of the kernel module's time does: buffered files, ioctl
with arrays and structs, select.
"""
import array
import ctypes
import errno
import fcntl
import select
import struct
import sys

HEADER = struct.Struct("=I2I2III2I2I4I4xQQI4x")
START, END = 0x7375624B, 0x4B627573


def _ioc(direction, number):
    return direction << 30 | (8 if direction else 0) << 16 | ord("k") << 8 | number


BIND, KSOCKID, REPLIER = _ioc(1, 2), _ioc(2, 4), _ioc(3, 5)
NEXTMSG, LENLEFT, SEND = _ioc(2, 6), _ioc(2, 7), _ioc(2, 8)


def padded(text):
    return text + b"\0" * (-len(text) % 4)


def entire(name, data, flags=0, to=0, reply=(0, 0)):
    header = HEADER.pack(
        START, 0, 0, *reply, to, 0, 0, 0, 0, 0, 0, flags, len(name), len(data), 0, 0, END
    )
    return header + padded(name + b"\0") + padded(data) + struct.pack("=I", END)


class Ksock:
    def __init__(self, folder, mode="r+b"):
        self.file = open(f"{folder}/kbus0", mode, buffering=512)

    def word(self, command):
        word = array.array("I", [0])
        result = fcntl.ioctl(self.file, command, word, True)
        return result, word[0]

    def with_name(self, command, flag, name):
        text = ctypes.create_string_buffer(name)
        argument = struct.pack("=IIQ", flag, len(name), ctypes.addressof(text))
        return fcntl.ioctl(self.file, command, argument)

    def send(self, *message, **fields):
        self.file.write(entire(*message, **fields))
        self.file.flush()
        ident = array.array("I", [0, 0])
        fcntl.ioctl(self.file, SEND, ident, True)
        return ident.tolist()

    def next(self):
        there, length = self.word(NEXTMSG)
        if not there:
            return None
        whole = self.file.read(length)
        fields = HEADER.unpack_from(whole)
        name_at, name_length = HEADER.size, fields[-5]
        data_at = name_at + (name_length + 4) // 4 * 4
        name = whole[name_at : name_at + name_length]
        return fields, name, whole[data_at : data_at + fields[-4]]


replier, asker = Ksock(sys.argv[1]), Ksock(sys.argv[1])
print("ids", replier.word(KSOCKID), asker.word(KSOCKID))
replier.with_name(BIND, 1, b"$.Ask")
print("id of the Request", asker.send(b"$.Ask", b"Why?", flags=1))
print("readable", select.select([replier.file], [], [], None)[0] == [replier.file])
fields, name, data = replier.next()
print("Request", name, data, "flags", fields[12], "from", fields[6])
replier.send(name, b"Because.", to=fields[6], reply=fields[1:3])
print("Reply", asker.next()[1:])
print("nothing", asker.next(), asker.word(LENLEFT))
try:
    asker.send(b"$.Nobody", b"", flags=1)
except OSError as error:
    print(errno.errorcode[error.errno])
with Ksock(sys.argv[1], "rb").file as reading:
    print("read only", reading.read(10))
