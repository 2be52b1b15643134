#!/usr/bin/env python3
"""The shell on a terminal, from outside: a pseudo-terminal, keys in, screen bytes out.

shell_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import processes

MOAT = os.path.abspath(sys.argv[1])
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b;"


class Shell:
    """One `moat` on a pseudo-terminal of 80 columns."""

    def __init__(self, folder, *arguments):
        self.screen = b""
        environment = {"HOME": folder, "PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C.UTF-8", "PAGER": "cat",
                       **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(MOAT, [MOAT, "--warehouse", folder + "/lake", *arguments], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def send(self, text):
        os.write(self.terminal, text.encode())

    def read(self, seconds):
        if select.select([self.terminal], [], [], seconds)[0]:
            try:
                self.screen += os.read(self.terminal, 65536)
            except OSError:  # the other end is closed
                return False
        return True

    def expect(self, text, seconds=90):
        """Waits for `text`; gives all bytes up to its end and forgets them."""
        wanted, deadline = text.encode(), time.monotonic() + seconds
        while wanted not in self.screen:
            if time.monotonic() > deadline or not self.read(0.2):
                raise AssertionError(f"expected {text!r}, the screen has {self.screen!r}")
        end = self.screen.index(wanted) + len(wanted)
        seen, self.screen = self.screen[:end], self.screen[end:]
        return seen.decode(errors="replace")

    def leaves_with(self, wanted, seconds=90):
        code = self.wait(seconds)
        assert code == wanted, f"exit code {code}, expected {wanted}; the screen has {self.screen!r}"

    def wait(self, seconds=90):
        """The exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.terminal)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"did not end; the screen has {self.screen!r}")


def statement_prints_a_table_and_ctrl_d_leaves(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT 41 + 1 AS answer;\n")
    shell.expect("(")
    shell.expect("row")
    shell.expect("moat> ")
    shell.send("\x04")
    shell.leaves_with(0)


def lines_are_joined_until_the_semicolon(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT 41 + 1\n")
    shell.expect("..> ")
    shell.send("AS answer;\n")
    shell.expect("row")
    shell.send("\\q\n")
    shell.leaves_with(0)


def commands_work_between_the_lines_of_a_statement(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT 41 + 1\n")
    shell.expect("..> ")
    shell.send("\\x\n")
    shell.expect("One block a row is on")
    shell.send("AS answer, '\n\\q\n';\n")  # inside quotes it is text
    shell.expect("RECORD 1")
    shell.send("SELECT 1\n")
    shell.expect("..> ")
    shell.send("\\q\n")  # whoever forgot the semicolon can leave
    shell.leaves_with(0)


def an_error_shows_the_place_and_the_shell_goes_on(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT *\nFROM fligths;\n")
    shell.expect("ERROR")
    shell.expect("42P01")
    shell.expect("fligths")
    shell.expect("LINE 2")
    shell.expect("^")
    shell.expect("moat> ")
    shell.send("\\q\n")
    shell.leaves_with(0)


def ctrl_c_cancels_the_query_and_not_the_shell(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send(LONG + "\n")
    shell.expect(" s")  # the progress bar, after a second
    shell.send("\x03")
    shell.expect("57014")
    shell.expect("moat> ")
    shell.send("\\q\n")
    shell.leaves_with(0)


def ctrl_c_at_the_prompt_drops_the_line_and_a_second_explains(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT nonsense\x03")
    shell.expect("^C")
    shell.expect("moat> ")
    shell.send("\x03")
    shell.expect("\\q")
    shell.send("\\x\n")
    shell.expect("on")
    shell.send("\\q\n")
    shell.leaves_with(0)


def unknown_commands_get_the_nearest(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("\\timng\n")
    shell.expect("did you mean \\timing?")
    shell.send("\\q\n")
    shell.leaves_with(0)


def tab_completes_a_keyword(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELEC\t")
    shell.expect("T ")
    shell.send("41 + 1 AS answer;\n")
    shell.expect("row")
    shell.send("\\q\n")
    shell.leaves_with(0)


def a_cell_cannot_drive_the_terminal(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT chr(27) || '[31mred' AS cell;\n")
    seen = shell.expect("row")
    assert "\x1b[31mred" not in seen, seen
    shell.send("\\q\n")
    shell.leaves_with(0)


def history_is_private_and_without_passwords(folder):
    shell = Shell(folder)
    shell.expect("moat> ")
    shell.send("SELECT 41 + 1 AS remembered;\n")
    shell.expect("row")
    shell.expect("moat> ")
    shell.send("CREATE USER amelia PASSWORD 'tail-number';\n")
    shell.expect("CREATE USER")
    shell.expect("moat> ")
    shell.send("\\q\n")
    shell.leaves_with(0)
    path = folder + "/lake/history"
    kept = open(path, encoding="utf-8").read()
    assert "remembered" in kept and "tail-number" not in kept, kept
    assert os.stat(path).st_mode & 0o777 == 0o600


def ctrl_c_ends_a_script_with_130(folder):
    shell = Shell(folder, "-c", LONG)
    deadline = time.monotonic() + 90
    while sum(map(processes.processor_ticks, [shell.pid, *processes.descendants(shell.pid)])) < 100:  # it is at the statement
        assert time.monotonic() < deadline, "it does not work"
        shell.read(0.1)
    shell.send("\x03")
    shell.leaves_with(130)


def main():
    cases = [value for name, value in globals().items()
             if callable(value) and getattr(value, "__code__", None) and value.__code__.co_varnames[:1] == ("folder",)]
    wanted = sys.argv[2:]
    failed = ran = 0
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        folder = tempfile.mkdtemp(prefix="moat_shell_")
        os.spawnv(os.P_WAIT, MOAT, [MOAT, "--quiet", "init", folder + "/lake"])
        ran += 1
        try:
            case(folder)
            print("ok    ", case.__name__, flush=True)
        except AssertionError as error:
            failed += 1
            print("FAILED", case.__name__, error, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
