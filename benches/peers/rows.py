"""Holds the rows that one system wrote against another's, by DuckDB.

Two results are the same if they have as many rows, and the same sum over the rows of a
64-bit hash of all columns: equal as multisets, but for a chance of one in 2^64. Only
where they differ are the rows themselves compared, to show some.
"""

import functools
import json
import os

from commands import Failed, answer
from places import HERE, REPOSITORY

SHOWN = 5


@functools.cache
def python():
    """The Python that has DuckDB; made the first time."""
    return answer(REPOSITORY / "tests" / "python.sh").strip()


def ask(sql):
    threads = len(os.sched_getaffinity(0))
    return json.loads(answer(python(), HERE / "in_duckdb.py", threads, text=sql))


def files(folder):
    """The Parquet files of a result: what begins with . or _ is not data."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path) for path in found if path.name[0] not in "._"]


def table(folder, columns):
    typed = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in columns)
    return f"(SELECT {typed} FROM read_parquet({files(folder)}))"


def fingerprint(folder, columns):
    """How many rows there are, and the sum of their hashes."""
    if not files(folder):
        return 0, 0
    names = ", ".join(f'"{name}"' for name, _ in columns)
    sql = f"SELECT count(*), coalesce(sum(hash({names})::HUGEINT), 0)::VARCHAR FROM {table(folder, columns)}"
    [[count, hashes]] = ask(sql)
    return count, int(hashes)


def differences(left, right, columns):
    """Some rows that are only in the left result; neither is empty."""
    tables = [f"SELECT * FROM {table(folder, columns)}" for folder in (left, right)]
    return ask(f"{' EXCEPT ALL '.join(tables)} LIMIT {SHOWN}")


class Comparison:
    """Takes the results of one query as they come; the first is what others must equal."""

    def __init__(self, columns):
        self.columns = columns
        self.first = None

    def take(self, name, folder):
        """True if the folder must stay: others are compared with it."""
        found = fingerprint(folder, self.columns)
        if found[0] == 0:
            raise Failed(f"{name} wrote no rows")
        if self.first is None:
            self.first = (name, folder, found)
            return True
        if found != self.first[2]:
            raise Failed(self._told(name, folder, found))
        return False

    @property
    def count(self):
        return self.first[2][0] if self.first else None

    def _told(self, name, folder, found):
        other, others, expected = self.first
        lines = [f"{other} wrote {expected[0]} rows, {name} {found[0]}, and they are not the same"]
        for who, left, right in [(other, others, folder), (name, folder, others)]:
            lines += [f"only {who}: {row}" for row in differences(left, right, self.columns)]
        return "\n".join(lines)
