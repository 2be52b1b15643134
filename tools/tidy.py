#!/usr/bin/env python3
"""The rules of the tree that a compiler does not know.

    tools/tidy.py             every rule; one `file:line: message` per finding, exit 1 if there is any
    tools/tidy.py --generated only the generated files, also those that a program of the release build prints
    tools/tidy.py --rules     what the rules are

Each rule is a generator of findings over a Tree, below, with its reason as its docstring. A finding that has to stay is a line in
tools/tidy_exceptions.txt, with a reason; a line that nothing needs any more is itself a finding, so that list only shrinks.
"""

import os
import re
import subprocess
import sys
from bisect import bisect_right
from collections import namedtuple
from functools import cached_property
from pathlib import Path, PurePosixPath

SOURCE_LINES_MAX = 1200
HEADER_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# `subject` is what an exception names: a function, a header, or "-" for the whole file.
Finding = namedtuple("Finding", "rule path line subject message")


# ---- Reading C


# Raw strings of C++, then comments, then literals: the first that begins wins.
TOKEN = re.compile(
    r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"'
    r'|//(?:[^\n\\]|\\.)*|/\*.*?\*/'
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)*'",
    re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.S | re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)
CONTAINER = re.compile(r'\b(?:namespace|class|struct|union|enum|extern\s*"\s*")')
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)+", re.S)
PARENTHESES = re.compile(r"\([^()]*\)")


def blank(match):
    """The same number of characters and lines, saying nothing; quotes stay, so that `extern "C"` is still seen."""
    text = match.group(0)
    quote = text[0] if text[0] in "\"'" else " "
    return quote + re.sub(r"[^\n]", " ", text[1:-1]) + (quote if len(text) > 1 else "")


Function = namedtuple("Function", "name line_first line_last")


class Source:
    """A C or C++ file: its text, and that text without comments and literals."""

    def __init__(self, path, text):
        self.path, self.text = PurePosixPath(path), text
        self.code = TOKEN.sub(blank, text)
        self.line_starts = [0] + [match.end() for match in re.finditer("\n", text)]

    def line_at(self, offset):
        return bisect_right(self.line_starts, offset)

    @property
    def line_count(self):
        return self.text.count("\n")

    @cached_property
    def includes(self):
        """(line, is_quoted, name) of each #include that is not commented out."""
        return [(self.line_at(m.start(1)), m.group(1) == '"', m.group(2)) for m in INCLUDE.finditer(self.text)
                if "include" in self.code[m.start():m.start(1)]]

    @cached_property
    def functions(self):
        """Function bodies: braces outside of all others but those of namespaces and types."""
        code = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.code)
        found, open_braces, head_start = [], [], 0
        for match in re.finditer(r"[{};]", code):
            at, brace = match.start(), match.group(0)
            if brace == "{":
                is_outside = all(kind == "container" for kind, _, _ in open_braces)
                head = code[head_start:at] if is_outside else ""
                open_braces.append((brace_kind(head), head, at))
            elif brace == "}" and open_braces:
                kind, head, start = open_braces.pop()
                if kind == "function":
                    found.append(Function(function_name(head), self.line_at(start), self.line_at(at)))
            if all(kind == "container" for kind, _, _ in open_braces):
                head_start = at + 1
        return found


def brace_kind(head):
    """What a brace opens, from the text between it and the statement before."""
    while PARENTHESES.search(head):
        head = PARENTHESES.sub("@", head)
    if "=" in re.sub(r"operator\s*[^\w\s]+", "", head):
        return "block"  # an initializer
    if "@" in head:
        return "function"
    return "container" if CONTAINER.search(head) else "block"


def function_name(head):
    """The last name outside of all parentheses that has an argument list; with it, if it is a macro's (`TEST(a, b)`)."""
    head = ATTRIBUTE.sub(" ", head)
    names, depth = [], 0
    for match in re.finditer(r"([\w:~]*operator[^\w\s(]+|[\w:~]+)\s*\(|\)\s*:|[()]", head):
        if match.group(1) and depth == 0:
            names.append(match)
        if depth == 1 and match.group(0).endswith(":"):
            break  # what follows are the initializers of a constructor
        depth += 1 if match.group(0).endswith("(") else -1
    if not names:
        return "?"
    name = names[-1].group(1)
    return re.sub(r"\s", "", head[names[-1].start():]) if name.isupper() else name


# ---- The tree


class Tree:
    """Files by path, relative to the root, with forward slashes."""

    def __init__(self, files, run=None):
        self.files = files
        self.run = run  # runs a generator's command: its output, or None if it failed
        self.sources = {path: Source(path, text) for path, text in files.items()
                        if path.startswith(("src/", "tests/")) and path.endswith((".c", ".h", ".cpp", ".hpp"))}

    @staticmethod
    def at(root):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                cwd=root, check=True, stdout=subprocess.PIPE).stdout
        files = {}
        for name in listed.decode().split("\0"):
            path = root / name
            if name and path.is_file() and not path.is_symlink():
                raw = path.read_bytes()
                if b"\0" not in raw[:8192]:
                    files[name] = raw.decode("utf-8", "replace")

        def run(command):
            done = subprocess.run(command, shell=True, cwd=root, stdout=subprocess.PIPE)
            return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None

        return Tree(files, run)

    @cached_property
    def arrows(self):
        """tools/deps.txt: module -> (line, modules)."""
        table = {}
        for number, line in enumerate(self.files.get("tools/deps.txt", "").splitlines(), 1):
            if ":" in line and not line.startswith("#"):
                module, _, targets = line.partition(":")
                table[module.strip()] = (number, targets.split())
        return table

    def module_of(self, path):
        """src/engine/duckdb/x.cpp -> engine/duckdb, the longest listed folder; src/main.c -> main."""
        parts = PurePosixPath(path).relative_to("src").parts
        if len(parts) == 1:
            return PurePosixPath(path).stem
        folders = parts[:-1]
        for count in range(len(folders), 0, -1):
            if "/".join(folders[:count]) in self.arrows:
                return "/".join(folders[:count])
        return folders[0]

    def sources_of_modules(self):
        return [source for path, source in sorted(self.sources.items()) if path.startswith("src/")]


# ---- Rules


def rule_arrows(tree):
    """A module includes only what tools/deps.txt lets it, which has no cycle: every module can be understood, tested and
    replaced with nothing above it."""
    for source in tree.sources_of_modules():
        module = tree.module_of(source.path)
        if module not in tree.arrows:
            yield Finding("arrows", str(source.path), 1, module, f'tools/deps.txt has no line for "{module}"')
            continue
        allowed = {module, *tree.arrows[module][1]}
        for line, is_quoted, name in source.includes:
            if not is_quoted:
                continue
            if f"src/{name}" not in tree.files:
                yield Finding("arrows", str(source.path), line, name,
                              f'"{name}" is not a file under src/: name ours from there, and others as <{name}>')
            elif tree.module_of(f"src/{name}") not in allowed:
                target = tree.module_of(f"src/{name}")
                yield Finding("arrows", str(source.path), line, name,
                              f'{module} may not include {target} ("{name}"): see tools/deps.txt')
    yield from cycles(tree)


def cycles(tree):
    state = {}

    def visit(module, trail):
        state[module] = "open"
        line, targets = tree.arrows.get(module, (1, []))
        for target in targets:
            if state.get(target) == "open":
                way = " -> ".join([*trail[trail.index(target):], target]) if target in trail else f"{module} -> {target}"
                yield Finding("arrows", "tools/deps.txt", line, target, f"a cycle: {way}")
            elif target not in tree.arrows:
                yield Finding("arrows", "tools/deps.txt", line, target, f'"{target}" has no line of its own')
            elif target not in state:
                yield from visit(target, [*trail, target])
        state[module] = "done"

    for module in tree.arrows:
        if module not in state:
            yield from visit(module, [module])


def rule_foreign_internals(tree):
    """x_int.h is for the files of its own module: what others use belongs into the contract, x.h."""
    for source in tree.sources.values():
        for line, _, name in source.includes:
            if name.endswith("_int.h") and (source.path.parts[0] != "src" or tree.module_of(f"src/{name}") != tree.module_of(source.path)):
                yield Finding("foreign-internals", str(source.path), line, name, f'"{name}" is internal to another module')


def rule_engine_language(tree):
    """C++ and the engine's own headers stay in src/engine/duckdb: everywhere else the engine is one C interface."""
    for path, source in tree.sources.items():
        if path.startswith("src/engine/duckdb/"):
            continue
        if path.endswith((".cpp", ".hpp")):
            yield Finding("engine-language", path, 1, "-", "C++ belongs into src/engine/duckdb")
        for line, _, name in source.includes:
            if name.startswith("duckdb"):
                yield Finding("engine-language", path, line, name, f"<{name}> belongs into src/engine/duckdb")


KERNEL_SAFE = {"base/base.h", "base/err.h", "base/checked.h"}


def rule_kernel_headers(tree):
    """The kernel is a pure function: of base it includes what has no clock, file, heap or log behind it."""
    for source in tree.sources_of_modules():
        path = str(source.path)
        if not path.startswith("src/kernel/") or path.endswith(("_test.c", "_fuzz.c", "_bench.c")):
            continue
        for line, is_quoted, name in source.includes:
            if is_quoted and not name.startswith("kernel/") and name not in KERNEL_SAFE:
                yield Finding("kernel-headers", path, line, name, f'"{name}" is not a kernel-safe header')
            elif not is_quoted and name not in ("nmmintrin.h",):
                yield Finding("kernel-headers", path, line, name, f"<{name}>: the kernel has base/base.h")


def rule_kernel_assertions(tree):
    """The kernel says twice what it takes for granted: two assertions a function, but for inline accessors of one line or two."""
    for path, source in tree.sources.items():
        if not path.startswith("src/kernel/") or not path.endswith(".c") or path.endswith(("_test.c", "_fuzz.c", "_bench.c")):
            continue
        if path.startswith("src/kernel/alone/"):
            continue
        lines = source.text.split("\n")
        for function in source.functions:
            body = lines[function.line_first - 1:function.line_last]
            is_accessor = len(body) <= 4 and any("inline" in line for line in lines[function.line_first - 4:function.line_first])
            count = sum(line.count("ASSERT(") for line in body)
            if count < 2 and not is_accessor:
                yield Finding("kernel-assertions", path, function.line_first, function.name, f"{count} assertions, two are the least")


def rule_file_length(tree):
    """A file is read in one sitting: 1,200 lines of code, 300 of a header."""
    generated = {path for path, _, _ in generators(tree)}
    for path, source in tree.sources.items():
        limit = HEADER_LINES_MAX if path.endswith((".h", ".hpp")) else SOURCE_LINES_MAX
        if source.line_count > limit and path not in generated:
            yield Finding("file-length", path, limit, "-", f"{source.line_count} lines, {limit} are allowed")


def rule_function_length(tree):
    """A function fits a screen: 70 lines from brace to brace."""
    for path, source in tree.sources.items():
        for function in source.functions:
            count = function.line_last - function.line_first + 1
            if count > FUNCTION_LINES_MAX:
                yield Finding("function-length", path, function.line_first, function.name,
                              f"{function.name}: {count} lines, {FUNCTION_LINES_MAX} are allowed")


def rule_columns(tree):
    """Lines of at most 100 columns: two files side by side. clang-format does not break comments and literals."""
    for path, source in tree.sources.items():
        for number, line in enumerate(source.text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield Finding("columns", path, number, "-", f"{len(line)} columns, {COLUMNS_MAX} are allowed")


UNSAFE = "strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll atof alloca strerror".split()
SHELL = "system popen".split()
HEAP = "malloc calloc realloc free strdup strndup reallocarray".split()
CALL = re.compile(r"(?<![\w.>:~])(?:std::)?(" + "|".join(UNSAFE + SHELL + HEAP) + r")\s*\(")


def rule_banned_functions(tree):
    """Functions that cannot be used safely, that start a shell, or (outside of base and the adapter) that allocate where a
    sweep cannot make them fail: base/mem.h and base/arena.h can."""
    for source in tree.sources_of_modules():
        path = str(source.path)
        if path == "src/base/banned.h":
            continue
        is_heap_allowed = path.startswith(("src/base/", "src/engine/duckdb/"))
        for match in CALL.finditer(source.code):
            name = match.group(1)
            if name in HEAP and is_heap_allowed:
                continue
            better = "use base/mem.h or an arena" if name in HEAP else "it is banned (see base/banned.h)"
            yield Finding("banned-functions", path, source.line_at(match.start(1)), name, f"{name}(): {better}")


def rule_readme(tree):
    """Every module says what it is for, what it never does and what its invariants are."""
    for module in sorted({source.path.parts[1] for source in tree.sources_of_modules() if len(source.path.parts) > 2}):
        if f"src/{module}/README.md" not in tree.files:
            yield Finding("readme", f"src/{module}/README.md", 1, "-", f'module "{module}" has no README.md')


def rule_headers(tree):
    """A header may be included twice; a .c includes its own header first, which proves that it stands alone."""
    for path, source in tree.sources.items():
        if path.endswith((".h", ".hpp")):
            if "#pragma once" not in source.code:
                yield Finding("headers", path, 1, "-", "no #pragma once")
            continue
        own = str(source.path.with_suffix(".h"))
        if own in tree.files and own.startswith("src/"):
            name = own[len("src/"):]
            if not source.includes or source.includes[0][2] != name:
                line = source.includes[0][0] if source.includes else 1
                yield Finding("headers", path, line, name, f'"{name}" must be included first')


def generators(tree):
    """tools/generated.txt: (path, command, line)."""
    for number, line in enumerate(tree.files.get("tools/generated.txt", "").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            path, _, command = line.partition(":")
            yield path.strip(), command.strip(), number


def rule_generated(tree):
    """A generated file in the tree is what its generator prints today."""
    return stale_files(tree, is_built=False)


def stale_files(tree, is_built):
    """`is_built`: the programs of the release build are there to be run."""
    for path, command, line in generators(tree):
        if command.startswith("build/") and not is_built:
            continue
        if path not in tree.files:
            yield Finding("generated", "tools/generated.txt", line, path, f"{path} does not exist: {command} > {path}")
        elif (now := tree.run(command)) is None:
            yield Finding("generated", "tools/generated.txt", line, path, f"the generator failed: {command}")
        elif now != tree.files[path]:
            yield Finding("generated", path, 1, path, f"not fresh: {command} > {path}")


# Put together here so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w./~-])/(?:" + "|".join(["wo" "rk", "ho" "me", "ro" "ot", "Us" "ers"]) + r")/[\w.-]+")
HOSTS = re.compile(r"\b(?:registry\.npm" r"js\.org|(?:www\.)?py" r"pi\.org|files\.python" r"hosted\.org|deb\.debi" r"an\.org)\b")
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b")


def rule_text(tree):
    """The tree names no machine it was written on and no registry (each has its own), and holds nothing half done."""
    for path, text in sorted(tree.files.items()):
        if path == "LICENSE" or path.startswith("tests/corpus/"):
            continue
        for pattern, what in ((MACHINE, "a path of one machine"), (HOSTS, "the name of a registry"),
                              (UNFINISHED, "a word for unfinished work")):
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                yield Finding("text", path, line, match.group(0), f"{what}: {match.group(0)}")


RULES = [value for name, value in list(globals().items()) if name.startswith("rule_")]


# ---- Exceptions


def without_exceptions(tree, findings):
    """Lines are `rule path subject: reason`. Takes out what they name, and adds what is wrong with the list itself."""
    path = "tools/tidy_exceptions.txt"
    allowed = {}
    for number, line in enumerate(tree.files.get(path, "").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, separator, reason = line.partition(": ")
        if len(key.split()) != 3 or not separator or not reason.strip():
            yield Finding("exceptions", path, number, "-", "not of the form `rule path subject: reason`")
            continue
        allowed[tuple(key.split())] = number
    used = set()
    for finding in findings:
        key = (finding.rule, finding.path, finding.subject.replace(" ", ""))
        if key in allowed:
            used.add(key)
        else:
            yield finding
    for key, number in allowed.items():
        if key not in used:
            yield Finding("exceptions", path, number, "-", f"no longer needed, take it out: {' '.join(key)}")


def check(tree, rules=RULES):
    """All findings, in the order of files and lines."""
    findings = [finding for rule in rules for finding in rule(tree)]
    return sorted(without_exceptions(tree, findings), key=lambda f: (f.path, f.line, f.rule))


def main(arguments):
    if arguments == ["--rules"]:
        for rule in RULES:
            name = rule.__name__.removeprefix("rule_").replace("_", "-")
            print(f"{name}: {' '.join(rule.__doc__.split())}")
        return 0
    if arguments not in ([], ["--generated"]):
        print(__doc__, file=sys.stderr)
        return 2
    tree = Tree.at(Path(__file__).resolve().parent.parent)
    findings = list(stale_files(tree, is_built=True)) if arguments else check(tree)
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.message}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
