"""
Makes system calls for a test: a line of JSON is a call, [number, name, argument, ...], and its answer is a
line [number, result] or [number, {"errno": n}]. Bytes are hex. A wait is answered when it is over, and
other calls go on meanwhile.
"""
import ctypes
import errno
import fcntl
import json
import os
import select
import struct
import sys
import time

waits = {}


def ioctl(file, command, argument):
    memory = bytearray.fromhex(argument)
    result = fcntl.ioctl(file, command, memory)
    return [result, memory.hex()]


def ioctl_by_name(file, command, word, name):
    """The argument is a struct of two words and a pointer to the name."""
    memory = ctypes.create_string_buffer(bytes.fromhex(name))
    length = len(name) // 2
    argument = bytearray(struct.pack("=IIQ", word, length, ctypes.addressof(memory)))
    result = fcntl.ioctl(file, command, argument)
    return [result, argument.hex()]


def open_file(path, flags):
    return os.open(path, {"r": os.O_RDONLY, "rw": os.O_RDWR}[flags])


def read_text(path):
    with open(path, encoding="latin-1") as file:
        return file.read()


calls = {
    "open": open_file,
    "close": os.close,
    "read": lambda file, count: os.read(file, count).hex(),
    "write": lambda file, data: os.write(file, bytes.fromhex(data)),
    "ioctl": ioctl,
    "ioctlByName": ioctl_by_name,
    "text": read_text,
}


def answer(number, result):
    print(json.dumps([number, result]), flush=True)


def call(line):
    number, name, *arguments = json.loads(line)
    if name == "wait":
        file, what, seconds = arguments
        until = None if seconds is None else time.monotonic() + seconds
        waits[number] = (file, what, until)
        return
    try:
        answer(number, calls[name](*arguments))
    except OSError as error:
        answer(number, {"errno": error.errno})
    if name == "close":
        for waiting, (file, _, _) in list(waits.items()):
            if file == arguments[0]:
                del waits[waiting]
                answer(waiting, {"errno": errno.EBADF})


def serve():
    """Waits are answered first: what was asked for is what is now."""
    begun = []
    while True:
        reading = {file for file, what, _ in waits.values() if what == "r"}
        writing = {file for file, what, _ in waits.values() if what == "w"}
        ends = [until for _, _, until in waits.values() if until is not None]
        left = max(0, min(ends) - time.monotonic()) if ends else None
        readable, writable, _ = select.select({0} | reading, writing, [], left)
        now = time.monotonic()
        for number, (file, what, until) in list(waits.items()):
            if file in (readable if what == "r" else writable):
                answer(number, True)
            elif until is not None and until <= now:
                answer(number, False)
            else:
                continue
            del waits[number]
        if 0 in readable:
            got = os.read(0, 1 << 20)
            if got == b"":
                return
            *ends, rest = got.split(b"\n")
            for end in ends:
                call(b"".join(begun + [end]))
                begun = []
            begun.append(rest)


if __name__ == "__main__":
    serve()
