#!/usr/bin/env python3
"""A minimal client of KBUS: the first section of docs/protocol.md, with only Python's standard library.

    client.py SOCKET listen NAME         print each message of this name
    client.py SOCKET answer NAME         reply to each Request with its text in upper case
    client.py SOCKET send NAME TEXT      send an Announcement
    client.py SOCKET ask NAME TEXT       send a Request and print the Reply

SOCKET is the socket of a bus, for example /run/kbus/kbus0.sock.
"""
import os, socket, struct, sys
from collections import deque, namedtuple

HELLO, FAREWELL, SEND, TAKE, CALL = 1, 3, 10, 11, 13
NONE, REFUSED, MISSED = 23, 27, 30
BIND, CLOSE = 1, 20
TO, REPLY, ID, CARRIED = 1, 2, 4, 8
WANT_A_REPLY, SYNTHETIC = 1, 4

Message = namedtuple('Message', 'id sender name data flags in_reply_to is_ours')


def padded(data):
    return data + bytes(-len(data) % 4)


def text(string):
    return struct.pack('>I', len(string.encode())) + padded(string.encode())


class Ksock:
    """One connection to a bus, with one call at a time."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.input = self.socket.makefile('rb')
        self.token = 0
        self.unclaimed = deque()
        hello = struct.pack('>4sIII', b'KBUS', 7, 3, os.getpid()) + text('client.py')
        self.id = struct.unpack_from('>4I', self.say(HELLO, 0, hello)[2])[3]

    def say(self, kind, detail, body):
        """Sends a frame; returns the kind, detail and body of the answer."""
        self.token += 1
        head = struct.pack('>IBBHI', 12 + len(body), kind, detail, 0, self.token)
        self.socket.sendall(head + body)
        while True:
            head = self.input.read(12)
            if len(head) < 12:
                raise ConnectionResetError('the daemon has closed the connection')
            length, kind, detail, _, _ = struct.unpack('>IBBHI', head)
            body = self.input.read(length - 12)
            if kind in (REFUSED, FAREWELL):
                errno = struct.unpack_from('>I', body)[0]
                raise OSError(errno, os.strerror(errno))
            if kind != MISSED:
                return kind, detail, body

    def bind(self, name, replier=False):
        self.say(CALL, BIND, struct.pack('>I', replier) + text(name))

    def send(self, name, data=b'', flags=0, to=0, in_reply_to=None):
        """Sends a message; returns its id as (network, serial)."""
        fields = TO | REPLY if in_reply_to else 0
        words = struct.pack('>III', to, *in_reply_to) if in_reply_to else b''
        record = struct.pack('>IHHII', len(data), len(name), fields, flags, 0) + words
        body = struct.pack('>III', 1, 0, 0) + record + padded(name.encode()) + padded(data)
        return struct.unpack_from('>II', self.say(SEND, 0, body)[2], 4)

    def take(self, wait=True, unclaimed=True):
        """Returns the next message; without `wait`, None if there is none."""
        if unclaimed and self.unclaimed:
            return self.unclaimed.popleft()
        kind, detail, body = self.say(TAKE, 1 if wait else 0, b'')
        if kind == NONE:
            return None
        _, sender, serial, data_length, name_length, fields, flags, _ = struct.unpack_from('>4I2HII', body)
        at, message_id, in_reply_to = 28, (0, serial), None
        if fields & TO:
            at += 4
        if fields & REPLY:
            in_reply_to, at = struct.unpack_from('>II', body, at), at + 8
        if fields & ID:
            message_id, at = struct.unpack_from('>II', body, at), at + 8
        if fields & CARRIED:
            at += 16
        name = body[at:at + name_length]
        at += len(padded(name))
        data = body[at:at + data_length]
        return Message(message_id, sender, name.decode(), data, flags, in_reply_to, detail == 1)

    def ask(self, name, data=b''):
        """Sends a Request and returns its Reply. Messages received before that are left for `take`."""
        asked = self.send(name, data, WANT_A_REPLY)
        while True:
            message = self.take(unclaimed=False)
            if message.in_reply_to == asked:
                return message
            self.unclaimed.append(message)

    def answer(self, request, data=b''):
        self.send(request.name, data, 0, request.sender, request.id)

    def close(self):
        self.say(CALL, CLOSE, struct.pack('>I', 0))
        self.socket.close()


def main(path, what, name, data=''):
    ksock = Ksock(path)
    if what == 'send':
        print('sent [%d:%d]' % ksock.send(name, data.encode()))
    elif what == 'ask':
        reply = ksock.ask(name, data.encode())
        print(reply.name if reply.flags & SYNTHETIC else reply.data.decode())
    else:
        ksock.bind(name, what == 'answer')
        print('bound as Ksock', ksock.id, flush=True)
        while True:
            message = ksock.take()
            print(message.name, message.data.decode(), flush=True)
            if message.is_ours:
                ksock.answer(message, message.data.upper())
    ksock.close()


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
