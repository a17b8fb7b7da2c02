"""What the golden cases of queries/turnstile_5min*.sql must expect, worked out from their messages alone.

Usage: turnstile_5min_cases.py CASE_FOLDER…

Plain Python: no SQL engine, and nothing of turnstile. It follows what the query file says and what Flink's
csv format does with ignore-parse-errors: a field that is no number is NULL, missing fields are NULL, too many
fields drop the message. A message without a readable TIMESTAMP is dropped. A row is late when the rows before
it in its own partition had carried the watermark, 5 minutes behind, past the last millisecond of its window.

Where the file `arrival` has pauses, a partition that was silent for 30 s holds nothing back until it speaks
again, and a window that closed meanwhile is closed for it too.
"""
import csv
import sys
from datetime import datetime, timedelta
from pathlib import Path

WINDOW, DELAY, IDLE = timedelta(minutes=5), timedelta(minutes=5), timedelta(seconds=30)
MILLISECOND = timedelta(milliseconds=1)
NEVER = datetime(1, 1, 1) + DELAY


def fields(line):
    """The 13 fields of a message, or None if it is dropped."""
    row = next(csv.reader([line]), [])
    if len(row) > 13:
        return None
    return row + [None] * (13 - len(row))


def number(text):
    try:
        return int(text.strip())
    except (AttributeError, ValueError):
        return None


def event_time(text):
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    except (TypeError, ValueError):
        return None


def arrival(case, left):
    """(partition, line) and pauses, in order; what is not named comes at the end."""
    path = case / "arrival"
    steps = path.read_text().splitlines() if path.exists() else []
    for step in (line.split("#")[0].split() for line in steps):
        if step[:1] == ["pause"]:
            assert step[2:] == ["s"], step
            yield "pause", timedelta(seconds=int(step[1]))
        elif step:
            partition = int(step[0].rsplit(".", 1)[1])
            for _ in range(int(step[1])):
                yield partition, left[partition].pop(0)
    for partition, lines in left.items():
        for line in lines:
            yield partition, line


def work_out(case):
    files = sorted((case / "input").glob("turnstile.*.csv"))
    left = {int(f.name.split(".")[1]): f.read_text().splitlines() for f in files}
    watermarks = {partition: NEVER for partition in left}
    heard_at = {partition: timedelta(0) for partition in left}
    now, closed_until = timedelta(0), NEVER
    timed = (case / "arrival").exists()
    sums, late, undecodable = {}, 0, 0
    for partition, what in arrival(case, left):
        if partition == "pause":
            now += what
            continue
        heard_at[partition] = now
        if what == "<tombstone>":
            continue
        row = fields(what)
        at = row and event_time(row[12])
        if at is None:
            undecodable += 1
            continue
        end = datetime.min + ((at - datetime.min) // WINDOW + 1) * WINDOW
        judged_by = max(watermarks[partition], closed_until if timed else NEVER)
        watermarks[partition] = max(watermarks[partition], at - DELAY)
        awake = [w for p, w in watermarks.items() if now - heard_at[p] < IDLE]
        closed_until = max(closed_until, min(awake))
        if judged_by >= end - MILLISECOND:
            late += 1
            continue
        key = (end, *row[:7], row[8])
        for i, value in enumerate((number(row[9]), number(row[10]))):
            total = sums.setdefault(key, [None, None])
            if value is not None:
                total[i] = (total[i] or 0) + value
    rows = []
    for (end, *key), (entries, exits) in sums.items():
        rows.append([*key[:7], end.strftime("%H:%M:%S"), key[7], entries, exits])
    return rows, late, undecodable


def written(row):
    """A line of an expected file: NULL, and quotes where there is a space."""
    def cell(value):
        if value is None:
            return "NULL"
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if set(text) & set(' ,"') else text

    return ",".join(map(cell, row))


wrong = 0
for folder in map(Path, sys.argv[1:]):
    rows, late, undecodable = work_out(folder)
    wanted = (
        sorted(map(written, rows)),
        {"late_rows": str(late), "undecodable": str(undecodable)},
    )
    counts = (line.split(" = ") for line in (folder / "expected.toml").read_text().splitlines())
    found = (sorted((folder / "expected.csv").read_text().splitlines()), dict(counts))
    if wanted != found:
        wrong += 1
        print(f"{folder}\nworked out: {wanted}\nexpected:   {found}")
print(f"{len(sys.argv) - 1} cases, {wrong} wrong")
sys.exit(1 if wrong or len(sys.argv) == 1 else 0)
