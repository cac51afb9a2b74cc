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

from kbus import BIND, HEADER, KSOCKID, LENLEFT, NEXTMSG, SEND, entire, name_and_data


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
        return HEADER.unpack_from(whole), *name_and_data(whole)


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
