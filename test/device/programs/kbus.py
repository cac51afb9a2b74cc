"""What a program of the kernel module's time has of its Python module: the layouts, and the ioctls."""
import struct

HEADER = struct.Struct("=I2I2III2I2I4I4xQQI4x")
START, END = 0x7375624B, 0x4B627573


def _ioc(direction, number):
    return direction << 30 | (8 if direction else 0) << 16 | ord("k") << 8 | number


BIND, UNBIND, KSOCKID, REPLIER = _ioc(1, 2), _ioc(1, 3), _ioc(2, 4), _ioc(3, 5)
NEXTMSG, LENLEFT, SEND, DISCARD = _ioc(2, 6), _ioc(2, 7), _ioc(2, 8), _ioc(0, 9)
MAXMSGS, NUMMSGS = _ioc(3, 11), _ioc(2, 12)


def padded(text):
    return text + b"\0" * (-len(text) % 4)


def header(name, data, flags=0, to=0, reply=(0, 0), pointers=(0, 0)):
    lengths = (flags, len(name), len(data))
    return HEADER.pack(START, 0, 0, *reply, to, 0, 0, 0, 0, 0, 0, *lengths, *pointers, END)


def entire(name, data, **fields):
    end = struct.pack("=I", END)
    return header(name, data, **fields) + padded(name + b"\0") + padded(data) + end


def name_and_data(whole):
    """Of an entire message that was read."""
    *_, name_length, data_length, _, _, _ = HEADER.unpack_from(whole)
    data_at = HEADER.size + (name_length + 4) // 4 * 4
    name = whole[HEADER.size : HEADER.size + name_length]
    return name, whole[data_at : data_at + data_length]
