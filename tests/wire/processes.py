"""What /proc says of a server and of its engine hosts. Processes and threads end while one looks: what is gone is left out."""

import os
import time


def children(pid):
    """Process ids of the children of all its threads: the keeper of the hosts is not the first one."""
    found = set()
    for task in _names(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found.update(map(int, file.read().split()))
        except OSError:
            pass
    return found


def descendants(pid):
    """Its children and theirs, the nearest first."""
    found = [pid]
    for one in found:
        found += sorted(children(one))
    return found[1:]


def processor_ticks(pid):
    """User and system time in ticks of the clock; 0 of who is gone."""
    return sum(times(pid)[:2])


def times(pid):
    """User and system time of its own, then of its children that ended, in ticks of the clock."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return [int(word) for word in file.read().rpartition(")")[2].split()[11:15]]
    except OSError:
        return [0, 0, 0, 0]


def slowness():
    """How many times longer something takes now than on an idle machine of 2024, at least 1: for limits that a slow or a busy machine is not to fail."""
    begun, total = time.monotonic(), 0
    for i in range(1_000_000):
        total = (total * 31 + i) & 0xFFFFFFFF
    return max(1.0, (time.monotonic() - begun) / 0.1)


def is_runnable(pid):
    """Whether a thread of it runs or waits for a processor, which on a busy machine its processor time does not tell."""
    for task in _names(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] in "RD":
                    return True
        except OSError:
            pass
    return False


def niceness(pid):
    """The nice value of each thread."""
    found = {}
    for task in _names(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                found[int(task)] = int(file.read().rpartition(")")[2].split()[16])
        except OSError:
            pass
    return found


def _names(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []
