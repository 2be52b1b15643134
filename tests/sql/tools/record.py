#!/usr/bin/env python3
"""Records what tools ask PostgreSQL's catalogs, and writes it down as tests with Moat's answers.

    tests/sql/tools/record.py record LOG ...     statements of a server's log (log_statement=all, log_line_prefix='@@') to *.sql here
    tests/sql/tools/record.py answer RUNNER      *.sql here to *.slt, with the answers that RUNNER (sql_runner) gives today

The log comes from `postgres -c log_statement=all -c log_line_prefix=@@`, with a line `@@CMD tool what` written into it before
each command of a tool: psql's backslash commands, SQLAlchemy's inspector, asyncpg's and psycopg's type loading, pgjdbc's
DatabaseMetaData. What other tools ask is in written.sql, copied from their sources. Answers are looked over before they are
committed: they are what a change is measured against. A statement whose answer holds numbers of objects, which differ from
warehouse to warehouse, must only succeed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = re.compile(r"(?i)(begin|commit|rollback|savepoint|release|create|drop|set |show |discard|deallocate|reset|select \$|select '\w)")
ROWS_MAX = 40

SETUP = """\
# What {tool} asks of the catalogs, as it was recorded: for the owner, and for who may see two columns of one table.
# Written by record.py.

file orders.csv
id,customer,amount,placed,at,paid
1,ann,10.5,2024-01-01,2024-01-01 10:00:00,true
endfile

file items.csv
id,name
1,x
endfile

statement ok
CREATE EXTERNAL TABLE orders LOCATION '${{dir}}/orders.csv'

statement ok
CREATE SCHEMA s

statement ok
CREATE EXTERNAL TABLE s.items LOCATION '${{dir}}/items.csv'

statement ok
CREATE EXTERNAL TABLE hidden LOCATION '${{dir}}/items.csv'

statement ok
CREATE VIEW big AS SELECT id, amount FROM orders WHERE amount > 100

statement ok
CREATE USER ann

statement ok
CREATE ROLE reader

statement ok
GRANT ROLE reader TO ann

statement ok
GRANT SELECT (id, customer) ON orders TO ROLE reader
"""


def statements(log):
    command, found = "", []
    for line in Path(log).read_text(errors="replace").split("\n"):
        if line.startswith("@@CMD"):
            command = line[6:]
        elif match := re.match(r"@@LOG:  (?:statement|execute [^:]*): (.*)", line):
            found.append([command, match[1], ""])
        elif line.startswith("@@DETAIL:  parameters: "):
            found[-1][2] = line
        elif not line.startswith("@@") and found and not found[-1][2]:
            found[-1][1] += "\n" + line.removeprefix("\t")
    for command, sql, parameters in found:
        sql = "\n".join(line.rstrip() for line in sql.strip().rstrip(";").split("\n") if line.strip())
        for number, value in reversed(re.findall(r"\$(\d+) = ('(?:[^']|'')*'|NULL)", parameters)):
            sql = re.sub(r"\$" + number + r"(?!\d)", lambda _, value=value: value, sql)
        if sql and not SKIPPED.match(sql):
            yield command, sql


def portable(sql, numbers):
    sql = sql.replace("'public'", "'main'").replace("public.", "main.").replace("mood", "text")
    for number, name in numbers.items():
        sql = re.sub(rf"'?\b{number}\b'?", f"(SELECT oid FROM pg_class WHERE relname = '{name}')", sql)
    return sql


def record(logs):
    tools = {}
    for log in logs:
        texts = list(statements(log))
        for command, sql in texts:
            tool = re.sub(r"\W.*", "", command) or "other"
            sql = portable(sql, {"16385": "orders", "16390": "items", "16395": "big"})
            tools.setdefault(tool, {}).setdefault(sql, command)
    for tool, asked in tools.items():
        text = "".join(f"-- {command}\n{sql};\n\n" for sql, command in asked.items())
        (HERE / f"{tool}.sql").write_text(text)


def read(path):
    for block in path.read_text().split("\n\n"):
        lines = [line for line in block.strip().split("\n") if line.strip()]
        if lines:
            title = lines[0].removeprefix("-- ")
            yield title, "\n".join(lines[1:]).rstrip().removesuffix(";")


def run(runner, text):
    """Per step: None where it holds, else ("rows", columns, rows) or ("error", message)."""
    with tempfile.NamedTemporaryFile("w", suffix=".slt") as file:
        file.write(text)
        file.flush()
        out = subprocess.run([runner, file.name], capture_output=True, text=True).stdout
        return re.split(rf"(?m)^{re.escape(file.name)}:(\d+): as \w+: ", out)[1:]


def answers(runner, setup, asked):
    """The answer of each, by asking with an answer that is none."""
    text, places = setup, []
    for _, sql in asked:
        places.append(text.count("\n") + 2)
        text += f"\nquery T\n{sql}\n----\n(no such row)\n"
    parts = run(runner, text)
    told = {int(parts[i]): parts[i + 1] for i in range(0, len(parts), 2)}
    result = []
    for place, (_, sql) in zip(places, asked):
        answer = next((told[line] for line in range(place - 1, place + 3) if line in told), "")
        if match := re.match(r"wrong \w+; types (\S*), columns ([^\n]*); rows:\n", answer):
            body = answer[match.end():]
            body = body[len(sql) + 5:] if body.startswith("    " + sql[:20]) else body
            result.append((match[1], [row for row in body.split("\n") if row and not re.match(r"\d+ passed", row)]))
        else:
            result.append((None, [answer.split("\n")[0]]))
    return result


def step(types, rows, is_stable, sql, never):
    if types is None:
        return f"\nstatement error {rows[0].split()[1]}\n{sql}\n"
    if not is_stable or len(rows) > ROWS_MAX:
        return f"\nstatement ok\n{sql}\n"
    body = "".join(row + "\n" for row in rows)
    order = "" if re.search(r"(?i)order by", sql) else " rowsort"
    return f"\nquery {types}{order}\n{never}{sql}\n----\n{body}"


def answer(runner):
    owner = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    for path in sorted(HERE.glob("*.sql")):
        asked = list(read(path))
        text = SETUP.format(tool=path.stem)
        for person, never in (("owner", ""), ("user ann", "never hidden\n")):
            setup = SETUP.format(tool=path.stem) + f"\n{person}\n"
            first, second = (answers(runner, setup, asked) for _ in range(2))
            text += f"\n{person}\n"
            for (title, sql), (types, rows), (_, again) in zip(asked, first, second):
                if types is None:
                    print(f"{path.stem}: {person}: {title}: {rows[0][:150]}")
                shown = [re.sub(rf"\b{owner}\b", "${owner}", row) for row in rows]
                is_stable = sorted(rows) == sorted(again) and "string_agg(word" not in sql
                text += f"\n# {title}" + step(types, shown, is_stable, sql, never)
        path.with_suffix(".slt").write_text(text)


if __name__ == "__main__":
    record(sys.argv[2:]) if sys.argv[1] == "record" else answer(sys.argv[2])
