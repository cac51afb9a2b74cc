"""
One program under test that uses the device file of a bus, only with open, read, write, ioctl, poll and close. It plays
the same roles as client.mjs, gets the same commands, and writes the same journal.
"""
import array
import ctypes
import errno
import fcntl
import json
import os
import random
import selectors
import struct
import sys
import time
from collections import deque

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../test/device/programs"))
from kbus import (  # noqa: E402
    BIND, DISCARD, HEADER, KSOCKID, LENLEFT, MAXMSGS, NEXTMSG, NUMMSGS, SEND, UNBIND,
    entire, header, name_and_data,
)

WANT_A_REPLY, WANT_YOU_TO_REPLY, SYNTHETIC, URGENT = 1, 2, 4, 8
ALL_OR_WAIT, ALL_OR_FAIL = 256, 512
NAMES = ["$.A", "$.A.B", "$.A.B.C", "$.D", "$.D.E"]
UNLIMITED = 0xFFFFFFFF

given = json.loads(sys.argv[1])
chance = random.Random(given["seed"])
journal = os.open(given["path"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(event, **fields):
    entry = {"t": time.monotonic_ns() // 1000, "e": event, **fields}
    os.write(journal, (json.dumps(entry) + "\n").encode())


def note_of(fields, name, data):
    flags = fields["flags"]
    is_reply = fields["reply"] != (0, 0)
    is_made = flags & SYNTHETIC
    if is_reply:
        kind = "S" if is_made else "R"
    else:
        kind = "Q" if flags & WANT_A_REPLY else "E" if is_made else "A"
    return {
        "id": "[%d:%d]" % fields["id"],
        "re": "[%d:%d]" % fields["reply"],
        "name": name,
        "kind": kind,
        "flags": flags,
        "to": fields["to"],
        "from": fields["from"],
        "tag": data[:40].decode("latin-1").split(" ")[0],
        "size": len(data),
    }


class Lost(Exception):
    """The device is unmounted: all calls on the file fail."""


class Ksock:
    """One open file. Calls return the name of an error, or None for success."""

    def __init__(self, path):
        self.file = self._try(os.open, path, os.O_RDWR)
        self.id = self.word(KSOCKID)

    def _try(self, call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            if error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV, errno.ENOENT):
                raise Lost from error
            raise

    def word(self, command, value=0):
        word = array.array("I", [value])
        self._try(fcntl.ioctl, self.file, command, word, True)
        return word[0]

    def bind(self, command, name, is_replier):
        text = ctypes.create_string_buffer(name.encode())
        argument = struct.pack("=IIQ", is_replier, len(name), ctypes.addressof(text))
        try:
            self._try(fcntl.ioctl, self.file, command, argument)
        except OSError as error:
            return errno.errorcode[error.errno]
        return None

    def write(self, name, data, **fields):
        """Writes a message in a random form. Returns the memory of a pointy message, to be kept until it is sent."""
        how = chance.random()
        if how < 0.3:
            held = ctypes.create_string_buffer(name), ctypes.create_string_buffer(data)
            pointers = [ctypes.addressof(one) for one in held]
            self._try(os.write, self.file, header(name, data, pointers=pointers, **fields))
            return held
        if how > 0.95:
            self._try(os.write, self.file, entire(name, b"never sent", **fields)[: chance.randrange(1, 100)])
            self._try(fcntl.ioctl, self.file, DISCARD)
        whole = entire(name, data, **fields)
        for at, to in pieces(len(whole), how < 0.6):
            if self._try(os.write, self.file, whole[at:to]) != to - at:
                raise RuntimeError("a write was short")
        return None

    def send(self):
        """Returns the name of the error, or None; and in either case the id."""
        ident = array.array("I", [0, 0])
        code = None
        try:
            self._try(fcntl.ioctl, self.file, SEND, ident, True)
        except OSError as error:
            code = errno.errorcode[error.errno]
        return code, "[%d:%d]" % tuple(ident)

    def discard(self):
        self._try(fcntl.ioctl, self.file, DISCARD)

    def next(self):
        length = self.word(NEXTMSG)
        if length == 0:
            return None
        if chance.random() < 0.03:
            # A good moment for SIGSTOP: a message is chosen and not read.
            time.sleep(chance.random() * 0.05)
        whole = b""
        for at, to in pieces(length, chance.random() < 0.3):
            if self.word(LENLEFT) != length - at:
                raise RuntimeError("LENLEFT is wrong")
            whole += self._try(os.read, self.file, to - at)
        if len(whole) != length or self._try(os.read, self.file, 1) != b"":
            raise RuntimeError(f"{len(whole)} bytes of {length} were read")
        raw = HEADER.unpack_from(whole)
        fields = {"id": raw[1:3], "reply": raw[3:5], "to": raw[5], "from": raw[6], "flags": raw[12]}
        return fields, *name_and_data(whole)

    def close(self):
        os.close(self.file)


def pieces(length, many):
    """The bounds of the pieces of a message: one, or a few."""
    cuts = sorted(chance.sample(range(1, length), min(3, length - 1))) if many else []
    return zip([0, *cuts], [*cuts, length])


class Program:
    """
    A program has one loop, which waits for its file, for commands, and for the time of its next action. It has one
    message in flight at a time: others wait in `outgoing`.
    """

    def __init__(self, ksock):
        self.ksock = ksock
        self.number = 1
        self.outgoing = deque()
        # The number, kind and id of the message that waits for a full queue; whether poll or SEND continues it.
        self.waiting = None
        self.by_poll = False
        self.later = []
        self.is_finishing = False
        self.is_closing = False
        self.waits = chance.choice(
            [selectors.PollSelector, selectors.SelectSelector, selectors.EpollSelector]
        )()
        self.waits.register(ksock.file, selectors.EVENT_READ)
        self.waits.register(0, selectors.EVENT_READ)
        self.told = b""
        self.is_deaf = False

    # Overridden by roles

    def act(self):
        """Acts; returns the seconds until the next action, or None for never."""
        return None

    def handle(self, fields, name):
        """Handles a message; returns the seconds until it reads the next one."""
        return 0

    def may_act(self):
        return not self.is_finishing and self.waiting is None and not self.outgoing

    # Sending

    def post(self, name, size, flags=0, to=0, reply=(0, 0)):
        n = self.number
        self.number += 1
        data = f"{given['name']}.{n} ".ljust(int(size), ".").encode()
        self.outgoing.append((n, name, data, {"flags": flags, "to": to, "reply": reply}))

    def send_next(self):
        n, name, data, fields = self.outgoing.popleft()
        asked = note_of({**fields, "id": (0, 0), "from": 0}, name, data)
        note("send?", n=n, **asked)
        held = self.ksock.write(name.encode(), data, **fields)
        code, ident = self.ksock.send()
        if code == "EAGAIN" and fields["flags"] & ALL_OR_WAIT and chance.random() < 0.9:
            self.waiting = n, asked["kind"], ident
            self.by_poll = chance.random() < 0.5
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.by_poll else 0)
            self.waits.modify(self.ksock.file, events)
            if not self.by_poll:
                self.after(0.01, self.ask_again)
        else:
            if code in ("EAGAIN", "ENOMEM", "EINTR"):
                # The written message is kept otherwise.
                self.ksock.discard()
            self.ended(n, code, ident)
        del held

    def ended(self, n, code, ident, **how):
        if code is None:
            note("send!", n=n, id=ident, **how)
        else:
            note("send-", n=n, code=code)

    def ask_again(self):
        """Sends the waiting message again, as a program without poll does."""
        if self.waiting is None:
            return
        n, _, ident = self.waiting
        if chance.random() < 0.02:
            self.ksock.discard()
            code = "EAGAIN"
        else:
            code, ident = self.ksock.send()
            if code == "EAGAIN":
                self.after(0.01, self.ask_again)
                return
        self.waiting = None
        self.ended(n, code, ident)

    def writable(self):
        """Poll has sent the waiting message, or given it up: only a Status shows which."""
        n, kind, ident = self.waiting
        code, _ = self.ksock.send()
        if code == "EAGAIN":
            return
        if code != "ENOMSG":
            raise RuntimeError(f"SEND after poll: {code}")
        self.waiting = None
        self.waits.modify(self.ksock.file, selectors.EVENT_READ)
        self.ended(n, None, ident, blind=True)

    # Reading

    def read_some(self):
        for _ in range(8):
            got = self.ksock.next()
            if got is None:
                return
            fields, name, data = got
            name = name.decode("latin-1")
            note("read", **note_of(fields, name, data))
            thinks = self.handle(fields, name)
            if thinks > 0 and not self.is_finishing:
                self.is_deaf = True
                self.waits.unregister(self.ksock.file)
                self.after(thinks, self.hear)
                return

    def hear(self):
        if self.is_deaf:
            self.is_deaf = False
            self.waits.register(self.ksock.file, selectors.EVENT_READ)

    # Time

    def after(self, seconds, then):
        self.later.append((time.monotonic() + seconds, then))

    def acts(self):
        pause = self.act() if self.may_act() else 0.02
        if pause is not None and not self.is_finishing:
            self.after(pause, self.acts)

    def run(self):
        self.acts()
        while True:
            while self.waiting is None and self.outgoing:
                self.send_next()
            if self.is_closing and self.is_done():
                return
            now = time.monotonic()
            due = min((at for at, _ in self.later), default=now + 1)
            for key, events in self.waits.select(max(0, due - now)):
                if key.fd == 0:
                    self.hears()
                elif self.is_deaf:
                    continue
                else:
                    if events & selectors.EVENT_WRITE and self.waiting is not None:
                        self.writable()
                    if events & selectors.EVENT_READ:
                        self.read_some()
            now = time.monotonic()
            ready = [then for at, then in self.later if at <= now]
            self.later = [one for one in self.later if one[0] > now]
            for then in ready:
                then()

    def is_done(self):
        """A Replier may leave unread messages; other programs read all of theirs."""
        if given["role"] == "replier":
            return True
        return self.waiting is None and not self.outgoing and self.ksock.word(NUMMSGS) == 0

    def hears(self):
        got = os.read(0, 4096)
        if got == b"":
            os._exit(1)
        *lines, self.told = (self.told + got).split(b"\n")
        for line in lines:
            if line == b"cut":
                # Even with unread, unanswered or waiting messages.
                note("end?")
                self.ksock.close()
                note("end", why="closed", drained=False)
                os._exit(0)
            self.is_finishing = True
            self.hear()
            if line == b"close":
                self.is_closing = True
                self.after(0, lambda: None)
            else:
                print("finishing", flush=True)

    def bind(self, name, replier):
        note("bind?", name=name, replier=replier)
        code = self.ksock.bind(BIND, name, replier)
        if code is None:
            note("bind!", name=name, replier=replier)
        else:
            note("bind-", name=name, replier=replier, code=code)
        return code is None


class Sender(Program):
    def act(self):
        size = 16 + chance.random() * 300
        draw = chance.random()
        if draw < 0.02:
            size = 100_000
        elif draw < 0.022:
            size = 1_300_000
        flags = chance.choice([URGENT, ALL_OR_FAIL, ALL_OR_FAIL, ALL_OR_WAIT, ALL_OR_WAIT, ALL_OR_WAIT, 0, 0])
        self.post(chance.choice(NAMES), size, flags)
        return chance.random() * 0.008


class Requester(Program):
    """Some of its Requests are stateful: for the Replier that answered before."""

    answered_by = 0

    def act(self):
        to = self.answered_by if chance.random() < 0.1 else 0
        flags = WANT_A_REPLY | (ALL_OR_WAIT if chance.random() < 0.3 else 0)
        self.post(chance.choice(NAMES), 20 + chance.random() * 200, flags, to=to)
        return chance.random() * 0.02

    def handle(self, fields, name):
        self.answered_by = fields["from"]
        return 0


class Listener(Program):
    def __init__(self, ksock):
        super().__init__(ksock)
        self.slow = 0.02 if chance.random() < 0.3 else 0
        if chance.random() < 0.5:
            ksock.word(MAXMSGS, UNLIMITED)
            note("limit", count=UNLIMITED)
        else:
            note("limit", count=20)
        for _ in range(chance.randrange(1, 4)):
            self.bind(chance.choice([*NAMES, "$.*", "$.A.*", "$.D.%"]), False)

    def handle(self, fields, name):
        return self.slow * chance.random()


class Replier(Program):
    def __init__(self, ksock):
        super().__init__(ksock)
        self.style = chance.choice(["prompt", "prompt", "slow", "never", "mixed"])
        self.bound = []
        for name in [*(name for name in NAMES if chance.random() < 0.5), chance.choice(["$.*", "$.A.*", "$.D.%"])]:
            self.bind_for_answers(name)

    def bind_for_answers(self, name):
        if self.bind(name, True):
            self.bound.append(name)

    def act(self):
        """Unbinds a name now and then, with its unread messages, and may bind it again."""
        if self.bound:
            name = self.bound.pop(chance.randrange(len(self.bound)))
            note("unbind?", name=name, replier=True)
            code = self.ksock.bind(UNBIND, name, True)
            if code is not None:
                raise RuntimeError(f"unbind {name}: {code}")
            note("unbind!", name=name, replier=True)
            self.after(chance.random() * 0.2, lambda: self.is_finishing or self.bind_for_answers(name))
        return 0.5 + chance.random() * 2

    def handle(self, fields, name):
        if not fields["flags"] & WANT_YOU_TO_REPLY:
            return 0
        style = chance.choice(["prompt", "slow", "never"]) if self.style == "mixed" else self.style
        if style != "never":
            flags = ALL_OR_WAIT if chance.random() < 0.3 else 0
            reply = lambda: self.post(name, 30, flags, to=fields["from"], reply=fields["id"])  # noqa: E731
            if style == "prompt":
                reply()
            else:
                self.after(chance.random() * 0.03, reply)
        return 0


ROLES = {"sender": Sender, "requester": Requester, "listener": Listener, "replier": Replier}

why = "lost"
try:
    ksock = Ksock(given["device"] + "/kbus0")
    note("open", id=ksock.id)
    program = ROLES[given["role"]](ksock)
    program.run()
    note("end?")
    ksock.close()
    why = "closed"
except Lost:
    pass
except Exception as error:
    import traceback

    note("crash", error=traceback.format_exc())
    sys.exit(70)
note("end", why=why, drained=why == "closed" and given["role"] != "replier")
