#!/usr/bin/env python3
"""Each rule of tidy.py, against a small tree in which one thing is wrong."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tidy  # noqa: E402

# A tree without findings; a test changes one file of it.
CLEAN = {
    "tools/deps.txt": "# Floor 0\nbase:\nsql: base\nengine: base\nengine/duckdb: base engine\nmain: base sql\n",
    "src/base/README.md": "# base\n",
    "src/base/arena.h": "#pragma once\nint arena(void);\n",
    "src/base/arena_int.h": "#pragma once\n",
    "src/base/arena.c": '#include "base/arena.h"\n#include <stdlib.h>\nint arena(void)\n{\n    free(0);\n    return 1;\n}\n',
    "src/sql/README.md": "# sql\n",
    "src/sql/scan.h": "#pragma once\n",
    "src/sql/scan.c": '#include "sql/scan.h"\n#include "base/arena.h"\n',
    "src/engine/README.md": "# engine\n",
    "src/engine/engine.h": "#pragma once\n",
    "src/engine/duckdb/adapter.cpp": '#include <duckdb.hpp>\n#include "engine/engine.h"\n',
    "src/main.c": '#include "sql/scan.h"\n',
}


def body(lines):
    return "{\n" + "    x();\n" * (lines - 2) + "}\n"


class TidyTest(unittest.TestCase):
    def tree(self, changes, run=None):
        files = dict(CLEAN, **dict(changes))
        return tidy.Tree({path: text for path, text in files.items() if text is not None}, run)

    def findings(self, changes, run=None):
        return tidy.check(self.tree(changes, run))

    def assert_finds(self, changes, rule, path, line):
        """Exactly this finding: a rule that also cries elsewhere is as wrong as one that is silent."""
        found = [(f.rule, f.path, f.line) for f in self.findings(changes)]
        self.assertEqual(found, [(rule, path, line)])

    def assert_clean(self, changes=()):
        self.assertEqual(self.findings(changes), [])

    def test_clean_tree_has_no_findings(self):
        self.assert_clean()

    # the kernel

    def test_kernel_includes_kernel_safe_headers_only(self):
        kernel = {"tools/deps.txt": CLEAN["tools/deps.txt"] + "kernel: base\n", "src/kernel/README.md": "# kernel\n",
                  "src/base/base.h": "#pragma once\n"}
        self.assert_clean({**kernel, "src/kernel/wal.c": '#include "base/base.h"\n',
                           "src/kernel/wal_test.c": '#include "base/arena.h"\n'})
        self.assert_finds({**kernel, "src/kernel/wal.c": '#include "base/arena.h"\n'}, "kernel-headers", "src/kernel/wal.c", 1)
        self.assert_finds({**kernel, "src/kernel/wal.c": "#include <time.h>\n"}, "kernel-headers", "src/kernel/wal.c", 1)

    # arrows

    def test_arrow_not_listed(self):
        self.assert_finds({"src/base/arena.c": '#include "base/arena.h"\n#include "sql/scan.h"\n'},
                          "arrows", "src/base/arena.c", 2)

    def test_arrow_is_not_transitive(self):
        self.assert_finds({"src/main.c": '#include "engine/engine.h"\n'}, "arrows", "src/main.c", 1)

    def test_arrow_from_a_nested_module(self):
        self.assert_finds({"src/engine/duckdb/adapter.cpp": '#include "sql/scan.h"\n'},
                          "arrows", "src/engine/duckdb/adapter.cpp", 1)

    def test_include_in_a_comment_is_no_arrow(self):
        self.assert_clean({"src/base/arena.c": '#include "base/arena.h"\n/*\n#include "sql/scan.h"\n*/\n// #include "sql/scan.h"\n'})

    def test_include_without_its_folder(self):
        self.assert_finds({"src/sql/scan.c": '#include "sql/scan.h"\n#include "scan.h"\n'}, "arrows", "src/sql/scan.c", 2)

    def test_module_without_a_line(self):
        self.assert_finds({"src/cli/README.md": "# cli\n", "src/cli/cli.c": "int x;\n"}, "arrows", "src/cli/cli.c", 1)

    def test_cycle(self):
        self.assert_finds({"tools/deps.txt": CLEAN["tools/deps.txt"].replace("base:\n", "base: engine\n")},
                          "arrows", "tools/deps.txt", 4)

    def test_arrow_to_nowhere(self):
        self.assert_finds({"tools/deps.txt": CLEAN["tools/deps.txt"].replace("sql: base", "sql: base bases")},
                          "arrows", "tools/deps.txt", 3)

    # foreign internals, engine language

    def test_foreign_internal_header(self):
        self.assert_finds({"src/sql/scan.c": '#include "sql/scan.h"\n#include "base/arena_int.h"\n'},
                          "foreign-internals", "src/sql/scan.c", 2)

    def test_own_internal_header(self):
        self.assert_clean({"src/base/arena.c": '#include "base/arena.h"\n#include "base/arena_int.h"\n'})

    def test_engine_header_outside_of_the_adapter(self):
        self.assert_finds({"src/sql/scan.c": '#include "sql/scan.h"\n#include <duckdb.h>\n'},
                          "engine-language", "src/sql/scan.c", 2)

    def test_cpp_outside_of_the_adapter(self):
        self.assert_finds({"src/sql/fast.cpp": "int x;\n"}, "engine-language", "src/sql/fast.cpp", 1)

    # lengths

    def test_source_length(self):
        line = '#include "base/arena.h"\n'
        self.assert_clean({"src/base/arena.c": line + "\n" * 1199})
        self.assert_finds({"src/base/arena.c": line + "\n" * 1200}, "file-length", "src/base/arena.c", 1200)

    def test_header_length(self):
        self.assert_finds({"src/base/arena.h": "#pragma once\n" + "\n" * 300}, "file-length", "src/base/arena.h", 300)

    def test_function_length(self):
        head = '#include "base/arena.h"\nint arena(void)\n'
        self.assert_clean({"src/base/arena.c": head + body(70)})
        self.assert_finds({"src/base/arena.c": head + body(71)}, "function-length", "src/base/arena.c", 3)

    def test_function_length_ignores_tables(self):
        table = "static const struct row rows[COUNT(x)] = {\n" + "    {1, f(2)},\n" * 90 + "};\n"
        self.assert_clean({"src/sql/scan.c": '#include "sql/scan.h"\n' + table + "enum e {\n" + "    A,\n" * 90 + "};\n"})

    def test_function_after_braces_in_literals_comments_and_macros(self):
        noise = "#define OPEN(x) \\\n    { x\nstatic char c = '{', *s = \"{{\\\"{\"; /* { */ // {\n"
        text = '#include "sql/scan.h"\n' + noise + "int long_one(int a)\n" + body(71)
        self.assert_finds({"src/sql/scan.c": text}, "function-length", "src/sql/scan.c", 6)

    def test_function_names(self):
        cases = {
            "int f(void)": "f",
            "static struct a *g(int (*call)(void), char *b)": "g",
            "__attribute__((format(printf, 1, 2))) void h(const char *s, ...)": "h",
            "PRINTF_LIKE(1, 2) void i(const char *s, ...)": "i",
            "TEST(sql, splits_on_semicolon)": "TEST(sql,splits_on_semicolon)",
            "Adapter::Adapter(int a) : base(a), other(1)": "Adapter::Adapter",
            "bool Adapter::operator==(const Adapter &o) const": "Adapter::operator==",
        }
        for head, name in cases.items():
            with self.subTest(head):
                functions = tidy.Source("src/x/x.cpp", head + "\n{\n}\n").functions
                self.assertEqual([(f.name, f.line_last) for f in functions], [(name, 3)])

    def test_functions_inside_namespaces_and_classes(self):
        text = ('extern "C" {\nnamespace a {\nclass B : public C {\n    int f() const override\n    {\n        g();\n    }\n'
                "    int h(int x = 1) { return x; }\n};\n}\n}\n")
        self.assertEqual([(f.name, f.line_first, f.line_last) for f in tidy.Source("src/x/x.cpp", text).functions],
                         [("f", 5, 7), ("h", 8, 8)])

    def test_columns(self):
        self.assert_clean({"src/sql/scan.h": "#pragma once\n//" + "é" * 98 + "\n"})
        self.assert_finds({"src/sql/scan.h": "#pragma once\n//" + "x" * 99 + "\n"}, "columns", "src/sql/scan.h", 2)

    # functions

    def test_banned_functions(self):
        for name in ("strcpy", "sprintf", "system", "popen", "strerror", "atoi", "malloc", "free", "strdup"):
            with self.subTest(name):
                self.assert_finds({"src/sql/scan.c": f'#include "sql/scan.h"\nint x(void)\n{{\n    {name} (a);\n}}\n'},
                                  "banned-functions", "src/sql/scan.c", 4)

    def test_names_like_banned_functions(self):
        calls = "mem_free(a); strerror_r(a); x->free(a); x.free(a); arena_strdup(a); /* free(a) */ y = \"free(a)\"; free_all(a);"
        self.assert_clean({"src/sql/scan.c": f'#include "sql/scan.h"\nint x(void)\n{{\n    {calls}\n}}\n'.replace("; ", ";\n    ")})

    def test_heap_in_base_but_not_unsafe_ones(self):
        self.assert_clean({"src/engine/duckdb/adapter.cpp": "void f() { free(std::malloc(1)); }\n"})
        self.assert_finds({"src/engine/duckdb/adapter.cpp": "void f() { strcpy(a, b); }\n"},
                          "banned-functions", "src/engine/duckdb/adapter.cpp", 1)

    # files

    def test_readme(self):
        self.assert_finds({"src/sql/README.md": None}, "readme", "src/sql/README.md", 1)

    def test_pragma_once(self):
        self.assert_finds({"src/sql/scan.h": "/* #pragma once */\n"}, "headers", "src/sql/scan.h", 1)

    def test_own_header_first(self):
        self.assert_finds({"src/sql/scan.c": '#include <stdio.h>\n#include "sql/scan.h"\n'}, "headers", "src/sql/scan.c", 1)

    def test_generated_file(self):
        for now, expected in (("page\n", []), ("other\n", ["docs/page.md"]), (None, ["tools/generated.txt"])):
            with self.subTest(now):
                changes = {"tools/generated.txt": "# path: command\ndocs/page.md: tools/make-page\n", "docs/page.md": "page\n"}
                found = self.findings(changes, run=lambda command, now=now: now)
                self.assertEqual([f.path for f in found], expected)

    def test_generated_by_the_program_waits_for_it(self):
        changes = {"tools/generated.txt": "docs/page.md: build/release/moat page\n", "docs/page.md": "page\n"}
        tree = self.tree(changes, run=lambda command: "other\n")
        self.assertEqual(tidy.check(tree), [])
        self.assertEqual([f.path for f in tidy.stale_files(tree, is_built=True)], ["docs/page.md"])

    def test_text(self):
        for word in ("TO" "DO: later", "/ho" "me/somebody/x", "registry.npm" "js.org", "/wo" "rk/x"):
            with self.subTest(word):
                self.assert_finds({"docs/x.md": f"one\n{word}\n"}, "text", "docs/x.md", 2)

    def test_text_that_only_looks_like_it(self):
        self.assert_clean({"docs/x.md": "a mkstemp XXXXXX; ./wo" "rk/x; $HOME/x; ~/.moat; https://x.example/ho" "me/y\n"})

    # exceptions

    def test_exception(self):
        changes = {"src/sql/scan.c": '#include "sql/scan.h"\nint x(void)\n{\n    free(a);\n    free(b);\n}\n'}
        self.assertEqual(len(self.findings(changes)), 2)
        changes["tools/tidy_exceptions.txt"] = "# list\nbanned-functions src/sql/scan.c free: the library allocated it\n"
        self.assert_clean(changes)

    def test_exception_that_nothing_needs(self):
        self.assert_finds({"tools/tidy_exceptions.txt": "columns src/sql/scan.c -: a long address\n"},
                          "exceptions", "tools/tidy_exceptions.txt", 1)

    def test_exception_without_a_reason(self):
        self.assert_finds({"tools/tidy_exceptions.txt": "columns src/sql/scan.c -\n"},
                          "exceptions", "tools/tidy_exceptions.txt", 1)


class CountTest(unittest.TestCase):
    """How tools/check counts."""

    @classmethod
    def setUpClass(cls):
        cls.check = {"__name__": "check", "__file__": str(Path(__file__).with_name("check"))}
        exec(compile(Path(cls.check["__file__"]).read_text(), "check", "exec"), cls.check)

    def assert_counts(self, output, is_passed, expected):
        self.assertEqual(str(self.check["count_cases"](output, is_passed)), expected)

    CMOCKA = "[==========] tests: Running 2 test(s).\n[ RUN      ] a.x\n[       OK ] a.x\n[ RUN      ] a.y\n"

    def test_cmocka(self):
        self.assert_counts(self.CMOCKA + "[       OK ] a.y\n[  PASSED  ] 2 test(s).\n", True, "2 passed, 0 failed")

    def test_cmocka_failure_is_counted_once(self):
        tail = "[  FAILED  ] a.y\n[  PASSED  ] 1 test(s).\n[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] a.y\n"
        self.assert_counts(self.CMOCKA + tail, False, "1 passed, 1 failed")

    def test_cmocka_skip(self):
        self.assert_counts(self.CMOCKA + "[  SKIPPED ] a.y\n[  SKIPPED ] tests: 1 test(s), listed below:\n[  SKIPPED ] a.y\n",
                           True, "1 passed, 0 failed, 1 skipped")

    def test_crash_is_a_failed_case(self):
        self.assert_counts(self.CMOCKA, False, "1 passed, 1 failed")
        self.assert_counts("", False, "0 passed, 1 failed")

    def test_failure_after_the_last_case(self):
        self.assert_counts(self.CMOCKA + "[       OK ] a.y\nleak\n", False, "2 passed, 1 failed")

    def test_our_own_line_and_corpora(self):
        self.assert_counts("x\n12 passed, 1 failed, 3 skipped\n", False, "12 passed, 1 failed, 3 skipped")
        self.assert_counts("7 inputs passed\n", True, "7 passed, 0 failed")

    def test_silent_test_is_one_case(self):
        self.assert_counts("hello\n", True, "1 passed, 0 failed")


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
