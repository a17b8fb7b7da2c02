"""DuckDB: the query as a batch over the same messages in a local file.

From the launch of a Python with the duckdb package to its exit. Not a streaming engine:
it is here as the mark for what decoding and aggregating may cost.
"""

import measure
from places import HERE
from systems import filled


class DuckDb:
    writes_rows = True
    warms_up = False

    def __init__(self, scratch, python, threads):
        self.scratch = scratch
        self.program = [python, HERE / "in_duckdb.py", threads]

    def run(self, task, out):
        out.mkdir(parents=True)
        sql = self.scratch / "duckdb.sql"
        sql.write_text(filled(task.query.duckdb, {"LINES": task.lines, "OUT": out}))
        log = self.scratch / "duckdb.log"
        return measure.command(self.program, log, stdin=sql, cwd=self.scratch)
