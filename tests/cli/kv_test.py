"""`moat kv` from outside: each verb, its exit codes, a store that is killed while it loads."""

import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

MOAT = sys.argv.pop(1)


class KvTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = str(Path(self.folder.name, "store"))

    def tearDown(self):
        self.folder.cleanup()

    def kv(self, *words, code=0, stdin=None):
        done = subprocess.run([MOAT, "kv", *words], input=stdin, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def test_put_get_delete_and_old_versions(self):
        self.kv("put", self.store, "k", "one")
        self.kv("put", self.store, "k", "two")
        self.assertEqual(self.kv("get", self.store, "k"), "two\n")
        self.assertEqual(self.kv("get", self.store, "k", "1"), "one\n")
        self.kv("delete", self.store, "k")
        self.assertIn("no such key", self.kv("get", self.store, "k", code=1))
        self.kv("trim", self.store)
        self.assertIn("can not be read any more", self.kv("get", self.store, "k", "1", code=1))

    def test_load_scan_backup_and_verify(self):
        lines = [f"key{i:05}\tvalue {i}" for i in range(3000)]
        self.kv("load", self.store, stdin="\n".join(lines) + "\n")
        self.assertEqual(self.kv("scan", self.store).splitlines(), lines)
        self.assertEqual(self.kv("rscan", self.store, "key00010", "key00020").splitlines(), lines[19:9:-1])
        copy = str(Path(self.folder.name, "copy"))
        self.kv("backup", self.store, copy)
        self.kv("put", self.store, "later", "x")
        self.assertEqual(self.kv("scan", copy).splitlines(), lines)
        self.assertIn("as it was written", self.kv("verify", copy))
        self.assertIn("commits", self.kv("stats", self.store))

    def test_bench_prints_its_table_and_wants_an_empty_store(self):
        rows = {line[:36].strip(): line[36:].split()[0] for line in self.kv("bench", self.store, "2000").splitlines()}
        for name in ("gets, uniform", "gets, 100 sorted keys at once", "rows of a scan backwards", "durable commits, 8 threads"):
            self.assertGreater(float(rows[name]), 0)
        self.assertIn("holds something", self.kv("bench", self.store, code=1))
        self.assertIn("as it was written", self.kv("verify", self.store))
        self.assertIn("not a number of pairs", self.kv("bench", str(Path(self.folder.name, "other")), "7", code=1))

    def test_usage_and_bad_input(self):
        self.assertIn("moat kv put DIR", self.kv("nonsense", code=2))
        self.assertIn("moat kv put DIR", self.kv("put", self.store, "k", code=2))
        self.assertIn("moat kv put DIR", self.kv("--help"))
        nothing = Path(self.folder.name, "nothing")
        for verb in (("get", "k"), ("delete", "k"), ("scan",), ("verify",), ("trim",)):
            self.assertIn("there is no store", self.kv(verb[0], str(nothing), *verb[1:], code=3))
        self.assertFalse(nothing.exists())
        self.assertIn("line 2", self.kv("load", self.store, stdin="a\tb\nno tab\n", code=1))
        said = self.kv("load", self.store, stdin="a\t" + "x" * (2**20 + 1) + "\n", code=1)
        self.assertIn("line 1", said)
        self.assertIn("A key has 1 to 1024 bytes, a value up to 1048576.", said)

    def test_kill_leaves_whole_batches(self):
        writer = subprocess.Popen([MOAT, "kv", "load", self.store], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for i in range(400):
                writer.stdin.write("".join(f"{i:04}/{j:03}\t{i}\n" for j in range(500)).encode())
            writer.stdin.flush()
            time.sleep(0.3)
        finally:
            writer.kill()
            writer.communicate()
        self.kv("verify", self.store)
        keys = [line.split("\t")[0] for line in self.kv("scan", self.store).splitlines()]
        self.assertEqual(len(keys) % 500, 0)
        self.assertEqual(keys, [f"{i:04}/{j:03}" for i in range(len(keys) // 500) for j in range(500)])


if __name__ == "__main__":
    result = unittest.main(exit=False, argv=[sys.argv[0]]).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
