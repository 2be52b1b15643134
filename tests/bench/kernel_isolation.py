#!/usr/bin/env python3
"""What serializability costs in transactions that must be run again: three rules over the same kinds of load.

    snapshot   first committer wins: a key that the transaction writes has changed since its snapshot (not serializable)
    kernel     and nothing that it read may have changed; transactions that only read are never refused
    ssi        snapshot, and no dangerous structure (Cahill 2008), as PostgreSQL has it: an anti-dependency in and one out, the outer one committed
               first; transactions that only read count, by the rule for them (Ports and Grittner 2012)

Clients run transactions of single reads and writes that interleave at random; a key that is written is read first. Prints the share of attempts
that were refused, of those that write and of all. About a minute; figures in docs/decisions/010-serializable.md.
"""

import random
import sys

CLIENTS = 16


class Txn:
    __slots__ = ("snapshot", "commit", "reads", "writes", "steps", "is_update")

    def __init__(self, snapshot, steps):
        self.snapshot, self.commit, self.steps = snapshot, None, steps
        self.reads, self.writes = set(), set()
        self.is_update = any(is_write for is_write, _ in steps)


def overwrites(reader, writer):
    """reader -> writer: it read a version that the writer replaced."""
    return not reader.reads.isdisjoint(writer.writes)


def is_dangerous(first, pivot, last, is_first_reading):
    """first -> pivot -> last, and last committed before both, or for a reader before its snapshot."""
    if last.commit is None or (pivot.commit is not None and last.commit > pivot.commit):
        return False
    if is_first_reading:
        return last.commit <= first.snapshot
    return first.commit is None or last.commit <= first.commit


def refuses_ssi(txn, committed, active):
    concurrent = [t for t in committed if t.commit > txn.snapshot]
    outs = [t for t in concurrent if overwrites(txn, t)]
    if txn.writes and outs:
        for first in concurrent + [t for t in active if t is not txn]:
            if overwrites(first, txn) and any(is_dangerous(first, txn, last, not first.is_update) for last in outs):
                return True
    for pivot in outs:  # it is committed, so this one has to go
        for last in committed:
            if last.commit > pivot.snapshot and last.commit < pivot.commit and overwrites(pivot, last) and \
                    is_dangerous(txn, pivot, last, not txn.is_update):
                return True
    return False


def run(rule, load, attempts, seed):
    rng = random.Random(seed)
    clock, version, committed = 0, {}, []
    counts = {False: [0, 0], True: [0, 0]}
    clients = [None] * CLIENTS
    for _ in range(attempts * 12):
        i = rng.randrange(CLIENTS)
        txn = clients[i]
        if txn is None:
            clients[i] = Txn(clock, load(rng))
            continue
        if txn.steps:
            is_write, key = txn.steps.pop()
            (txn.writes if is_write else txn.reads).add(key)
            continue
        is_refused = any(version.get(key, 0) > txn.snapshot for key in txn.writes)
        if rule == "kernel" and txn.writes:
            is_refused = is_refused or any(version.get(key, 0) > txn.snapshot for key in txn.reads)
        if rule == "ssi" and not is_refused:
            is_refused = refuses_ssi(txn, committed, [t for t in clients if t is not None])
        counts[txn.is_update][0] += 1
        counts[txn.is_update][1] += is_refused
        clients[i] = None
        if not is_refused:
            clock += 1
            txn.commit = clock
            committed.append(txn)
            for key in txn.writes:
                version[key] = clock
        oldest = min((t.snapshot for t in clients if t is not None), default=clock)
        if len(committed) > 400:  # those that nobody runs beside, nor beside whom runs beside somebody
            committed = [t for t in committed if t.commit > oldest - 200]
    return counts


def make_load(keys, hot, update_share, reads, writes):
    def load(rng):
        def key():
            return rng.randrange(keys // 100) if rng.random() < hot else rng.randrange(keys)
        steps = [(False, key()) for _ in range(reads)]
        if rng.random() < update_share:
            for _ in range(writes):
                written = key()
                steps += [(True, written), (False, written)]
        return steps
    return load


LOADS = [
    ("read-mostly: 5 % update, 8 reads and 1 write, 10,000 keys", make_load(10000, 0, 0.05, 8, 1)),
    ("the same, half of all at 1 % of the keys", make_load(10000, 0.5, 0.05, 8, 1)),
    ("half update, 8 reads and 2 writes, 10,000 keys", make_load(10000, 0, 0.5, 8, 2)),
    ("the same, half of all at 1 % of the keys", make_load(10000, 0.5, 0.5, 8, 2)),
    ("all update, 4 reads and 4 writes, 1,000 keys", make_load(1000, 0, 1, 4, 4)),
    ("long readers: 20 % update, 60 reads and 1 write, 10,000 keys", make_load(10000, 0, 0.2, 60, 1)),
]


def main(attempts):
    print("load\trule\tupdates refused\tall refused")
    for name, load in LOADS:
        for rule in ("snapshot", "ssi", "kernel"):
            counts = run(rule, load, attempts, 7)
            tried, refused = counts[True]
            total, all_refused = tried + counts[False][0], refused + counts[False][1]
            print(f"{name}\t{rule}\t{100 * refused / max(tried, 1):.2f} %\t{100 * all_refused / max(total, 1):.2f} %", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20000)
