#!/usr/bin/env python3
"""Random cases for a differential test: scripts from a grammar of windows, keys,
aggregates, filters, joins and functions, over random out-of-order input.

    generate.py FOLDER --scripts N --seed S

Writes N case folders (query.sql, input/, NOTE) in the format of tests/cases.
The same seed gives the same cases. Rows are never late by their own partition
unless there is one partition, because with several it depends on timing which
rows a Flink cluster drops.
"""

import argparse
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

STRINGS = ["a", "b", "ab", "Beta gamma", "", " x ", "NaN", "12", "-7.5", "é", "x,y", "100%", "a_b", "2024-02-29"]
BASES = ["2026-03-01 00:00:00", "2024-02-28 23:59:50", "2025-12-31 23:59:30", "2026-07-15 11:59:59.500"]
ZONES = ["UTC", "UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata"]
COLUMNS = {
    "k": "STRING", "k2": "INT", "flag": "BOOLEAN", "v": "BIGINT", "n": "INT", "sm": "SMALLINT",
    "d": "DOUBLE", "dc": "DECIMAL(10, 2)", "s": "STRING", "day": "DATE", "ts2": "TIMESTAMP(3)",
}


class Script:
    def __init__(self, rng):
        self.rng = rng
        self.sources = []
        self.ltz = self.chance(0.25)
        self.on_time = False
        self.parts = []

    def pick(self, *of):
        return self.rng.choice(of)

    def chance(self, p):
        return self.rng.random() < p

    # -- sources -----------------------------------------------------------

    def source(self, name):
        rng = self.rng
        ltz = self.ltz
        delay = self.pick(0, 1, 1, 2, 5)
        columns = [f"`{c}` {t}" for c, t in COLUMNS.items()]
        if ltz:
            columns += ["ms BIGINT", "et AS TO_TIMESTAMP_LTZ(ms, 3)"]
        else:
            columns += ["et TIMESTAMP(3)"]
        mark = "et" if delay == 0 else f"et - INTERVAL '{delay}' SECOND"
        columns.append(f"WATERMARK FOR et AS {mark}")
        body = ",\n  ".join(columns)
        self.parts.append(
            f"CREATE TABLE {name} (\n  {body}\n) WITH ('connector'='kafka','topic'='{name}',"
            "'properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset',"
            "'scan.bounded.mode'='latest-offset','format'='json','json.ignore-parse-errors'='true');")
        partitions = 1 if self.in_order or self.one_log else self.pick(1, 1, 1, 2)
        base = datetime.fromisoformat(self.base)
        files = {}
        for p in range(partitions):
            at, rows, newest = base, [], base
            for i in range(rng.randint(15, 45)):
                at += timedelta(milliseconds=rng.choice([0, 1, 250, 500, 1000, 1000, 3000, 7001]))
                back = rng.choice([0, 0, 0, 500, 1000, 1999, 2000, 4000, 9000])
                if partitions > 1 or self.on_time:
                    back = min(back, max(0, delay * 1000 - 1))
                when = at - timedelta(milliseconds=back)
                newest = max(newest, when)
                if self.chance(0.15):
                    when = when.replace(microsecond=0)
                if (partitions > 1 or self.on_time) and when < newest - timedelta(seconds=delay):
                    when = newest
                rows.append(self.row(when, ltz))
            files[p] = rows
        self.sources.append((name, files))
        return name

    def row(self, when, ltz):
        rng = self.rng
        maybe = lambda value: None if self.chance(0.12) else value
        row = {
            "k": maybe(rng.choice("aabbc") if self.chance(0.8) else rng.choice(STRINGS)),
            "k2": maybe(rng.randint(0, 2)), "flag": maybe(self.chance(0.5)),
            "v": maybe(rng.choice([0, 1, -5, 7, 100, 2**40, -(2**33)])), "n": maybe(rng.randint(-50, 50)),
            "sm": maybe(rng.randint(-300, 300)), "d": maybe(rng.randint(-800, 800) / 8),
            "dc": maybe(rng.randint(-99999, 99999) / 100), "s": maybe(rng.choice(STRINGS)),
            "day": maybe(f"2024-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}"),
            "ts2": maybe(f"2025-0{rng.randint(1, 9)}-2{rng.randint(0, 8)} 0{rng.randint(0, 9)}:{rng.randint(10, 59)}:15.{rng.randint(100, 999)}"),
        }
        if ltz:
            row["ms"] = int((when - datetime(1970, 1, 1)) / timedelta(milliseconds=1))
        else:
            row["et"] = when.isoformat(sep=" ", timespec="milliseconds")
        if self.chance(0.05):
            row.pop(rng.choice(["k", "v", "s"]))
        return json.dumps(row, ensure_ascii=False)

    # -- windows -----------------------------------------------------------

    def window(self, data, keys, kinds=("TUMBLE", "TUMBLE", "HOP", "CUMULATE", "SESSION")):
        kind = self.pick(*kinds)
        size = self.pick(2, 5, 10, 30)
        time = "DESCRIPTOR(et)"
        args = {"TUMBLE": [("SIZE", size)], "SESSION": [("GAP", self.pick(1, 2, 5))],
                "HOP": [("SLIDE", size), ("SIZE", size * self.pick(1, 2, 3, 10))],
                "CUMULATE": [("STEP", size), ("SIZE", size * self.pick(1, 2, 3, 10))]}[kind]
        table = f"TABLE {data}"
        if kind == "SESSION" and keys:
            table += f" PARTITION BY ({', '.join(keys)})" if len(keys) > 1 or self.chance(0.5) else f" PARTITION BY {keys[0]}"
        seconds = lambda s: f"INTERVAL '{s}' SECOND" if s < 100 else f"INTERVAL '{s // 60}' MINUTE"
        args = [(n, s if s < 100 else s // 60 * 60) for n, s in args]
        if kind != "SESSION" and kind != "TUMBLE" and args[1][1] % args[0][1]:
            args[1] = (args[1][0], args[0][1] * 2)
        named = [("DATA", table), ("TIMECOL", time)] + [(n, seconds(s)) for n, s in args]
        if kind != "SESSION" and self.chance(0.2):
            named.append(("OFFSET", f"INTERVAL '{self.rng.randint(1, max(1, min(args[-1][1] - 1, 59)))}' SECOND"))
        if self.chance(0.2):
            self.rng.shuffle(named)
            text = ", ".join(f"{n} => {v}" for n, v in named)
        else:
            text = ", ".join(v for _, v in named)
        call = f"{kind}({text})"
        return kind, (f"TABLE({call})" if self.chance(0.8) else call)

    # -- expressions -------------------------------------------------------

    def number(self, depth=1):
        if depth <= 0 or self.chance(0.4):
            return self.pick("v", "n", "sm", "d", "dc", "n")
        a = self.number(depth - 1)
        return self.pick(
            f"({a} + {self.number(depth - 1)})", f"ABS({a})", f"-{a}", f"COALESCE({a}, 0)", "CHAR_LENGTH(s)",
            f"CASE WHEN {self.condition(depth - 1)} THEN {a} ELSE 1 END", f"({a} * 2)", "MOD(n, 7)", "EXTRACT(DOW FROM `day`)",
            "TRY_CAST(s AS INT)", "SIGN(n)", "POSITION('a' IN s)", "HOUR(ts2)", f"NULLIF({a}, 1)", "FLOOR(d)", "ROUND(dc, 1)",
            "CAST(d AS INT)", "TIMESTAMPDIFF(MINUTE, ts2, TIMESTAMP '2025-06-01 00:00:00')", "IF(flag, 1, 2)")

    def text(self, depth=1):
        if depth <= 0 or self.chance(0.4):
            return self.pick("s", "k")
        a = self.text(depth - 1)
        return self.pick(
            f"UPPER({a})", f"CONCAT({a}, 'x')", f"({a} || k)", f"SUBSTRING({a} FROM 1 FOR 2)", f"COALESCE({a}, '?')", f"TRIM({a})",
            "CAST(n AS STRING)", "CAST(dc AS STRING)", "CAST(`day` AS STRING)", "DATE_FORMAT(ts2, 'yyyy-MM HH:mm')", f"REPLACE({a}, 'a', 'bb')",
            f"LPAD({a}, 4, '*')", "SPLIT_INDEX(s, ' ', 0)", f"CASE WHEN {self.condition(depth - 1)} THEN {a} END", "CAST(flag AS STRING)",
            f"REGEXP_REPLACE({a}, '[ab]', '-')", f"LOWER({a})", "CONCAT_WS('-', k, s)")

    def condition(self, depth=1):
        n, t = self.number(depth - 1), self.text(depth - 1)
        simple = self.pick(
            f"{n} > {self.rng.randint(-20, 20)}", f"{n} IS NOT NULL", f"{t} <> 'a'", f"{t} LIKE '%a%'", "flag", "NOT flag", "k IN ('a', 'b')",
            "n BETWEEN -10 AND 30", f"{n} IS NULL", "k IS DISTINCT FROM s", "dc >= 1.5", "`day` > DATE '2024-05-01'", "v <= n", "s = k")
        if depth > 0 and self.chance(0.35):
            return f"({simple} {self.pick('AND', 'OR')} {self.condition(depth - 1)})"
        return simple

    def aggregate(self, kind):
        merges = kind != "TUMBLE"
        n = self.number(1)
        filtered = f" FILTER (WHERE {self.condition(1)})" if self.chance(0.2) else ""
        simple = ["COUNT(*)", f"COUNT({self.text(1)})", f"SUM({n})", f"AVG({n})", f"MIN({n})", f"MAX({n})", f"MAX({self.text(1)})",
                  "MIN(`day`)", "MAX(ts2)", "COUNT(DISTINCT k2)", f"COUNT(DISTINCT {self.text(0)})", "STDDEV_POP(d)", "VAR_SAMP(n)",
                  "SUM(dc)", "AVG(dc)", "SUM(sm)", "AVG(d)", "MIN(flag)"]
        if not merges and self.in_order:
            simple += ["FIRST_VALUE(n)", "LAST_VALUE(s)", "SUM(DISTINCT n)", "LISTAGG(k)", "LISTAGG(s, ';')", "MAX(DISTINCT n)"]
        return self.pick(*simple) + filtered

    # -- queries -----------------------------------------------------------

    def aggregated(self, data, keys=None, extra=0):
        keys = self.rng.sample(["k", "k2", "flag", "s", "`day`"], self.pick(0, 1, 1, 2)) if keys is None else keys
        kind, window = self.window(data, keys)
        where = f" WHERE {self.condition(1)}" if self.chance(0.3) else ""
        bounds = ["window_start", "window_end"] + (["window_time"] if self.chance(0.15) else [])
        aggregates = [f"{self.aggregate(kind)} AS a{i}" for i in range(self.rng.randint(1, 4) + extra)]
        group = bounds + keys
        if kind != "SESSION" and keys and self.chance(0.15):
            sets = self.pick("ROLLUP", "CUBE")
            group = bounds + [f"{sets} ({', '.join(keys)})"]
        having = f" HAVING COUNT(*) > {self.rng.randint(0, 2)}" if self.chance(0.2) else ""
        select = bounds + keys + aggregates
        return kind, f"SELECT {', '.join(select)} FROM {window}{where} GROUP BY {', '.join(group)}{having}"

    def query(self):
        shape = self.pick("agg", "agg", "agg", "agg", "flat", "flat", "rows", "top", "dedup", "join", "cascade", "legacy", "union", "interval", "first",
                          "distinct", "attached", "again", "in")
        # What a join makes of a late row depends on how far the other side is.
        self.on_time = shape == "interval"
        self.in_order = self.chance(0.3)
        # Which of two partitions' rows of one time came first is no rule.
        self.one_log = shape in ("dedup", "first")
        a = self.source("a")
        if shape == "agg":
            return shape, self.aggregated(a)[1]
        if shape == "flat":
            columns = [self.number(2) for _ in range(3)] + [self.text(2) for _ in range(3)]
            where = f" WHERE {self.condition(2)}" if self.chance(0.5) else ""
            return shape, f"SELECT {', '.join(f'{c} AS c{i}' for i, c in enumerate(columns))} FROM {a}{where}"
        if shape == "distinct":
            _, window = self.window(a, [])
            return shape, f"SELECT DISTINCT window_start, window_end, k, flag FROM {window}" if "SESSION" not in window else f"SELECT k FROM {a}"
        if shape == "attached":
            # The window's columns are used between the window and its aggregate.
            _, window = self.window(a, [], ("TUMBLE", "HOP", "CUMULATE"))
            condition = self.pick("EXTRACT(SECOND FROM window_start) < 40", "window_end > window_start", "EXTRACT(MINUTE FROM window_end) >= 0")
            return shape, (f"SELECT window_start, window_end, k, COUNT(*) AS c, SUM(n) AS s FROM {window} WHERE {condition} GROUP BY window_start, window_end, k")
        if shape == "again":
            # Aggregated once more by the same window.
            kind, inner = self.aggregated(a, ["k", "k2"])
            if kind == "SESSION":
                return "agg", inner
            return shape, f"SELECT window_start, window_end, k, COUNT(*) AS c, MAX(a0) AS m FROM ({inner}) GROUP BY window_start, window_end, k"
        if shape == "in":
            _, w = self.window(a, [], ("TUMBLE", "HOP"))
            self.ltz_b = self.source("b")
            no = self.pick("", "", "NOT ")
            return shape, (f"SELECT L.k, L.window_end, L.c FROM (SELECT k, window_start, window_end, COUNT(*) AS c FROM {w} GROUP BY k, window_start, window_end) L "
                           f"WHERE L.k {no}IN (SELECT k FROM (SELECT k, window_start, window_end FROM {w.replace('TABLE a', 'TABLE b')} GROUP BY k, window_start, window_end) R "
                           f"WHERE L.window_start = R.window_start AND L.window_end = R.window_end)")
        if shape == "rows":
            _, window = self.window(a, ["k"])
            return shape, f"SELECT k, v, window_start, window_end FROM {window}" + (f" WHERE {self.condition(1)}" if self.chance(0.3) else "")
        if shape in ("top", "dedup"):
            if self.chance(0.5):
                kind, inner = self.aggregated(a, ["k", "k2"])
                order = "a0 DESC, k, k2" if shape == "top" else "window_time"
                if shape == "dedup":
                    return "agg", inner
                return shape, (f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY {order}) AS rn "
                               f"FROM ({inner})) WHERE rn <= {self.rng.randint(1, 3)}")
            _, window = self.window(a, ["k"])
            order = self.pick("v DESC, n, d, s, dc", "n, v, d, s, dc") if shape == "top" else f"et {self.pick('ASC', 'DESC')}"
            n = self.rng.randint(2, 3) if shape == "top" else 1
            return shape, (f"SELECT k, v, n, window_start, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY {order}) AS rn "
                           f"FROM {window}) WHERE rn <= {n}")
        if shape == "join":
            b = self.source("b")
            state = self.rng.getstate()
            left = self.aggregated(a, ["k"])[1]
            kinds = ("TUMBLE", "HOP", "CUMULATE")
            _, w = self.window("a", [], kinds)
            wl, wr = w, w.replace("TABLE a", "TABLE b")
            l = f"(SELECT window_start, window_end, k, {self.aggregate('HOP')} AS x FROM {wl} GROUP BY window_start, window_end, k)"
            r = f"(SELECT window_start, window_end, k, {self.aggregate('HOP')} AS y FROM {wr} GROUP BY window_start, window_end, k)"
            on = "L.window_start = R.window_start AND L.window_end = R.window_end AND L.k = R.k"
            join = self.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "semi", "anti")
            if join in ("semi", "anti"):
                no = "NOT " if join == "anti" else ""
                return shape, f"SELECT L.window_end, L.k, L.x FROM {l} L WHERE {no}EXISTS (SELECT * FROM {r} R WHERE {on})"
            return shape, f"SELECT L.window_end, R.window_end AS we, L.k, R.k AS rk, L.x, R.y FROM {l} L {join} {r} R ON {on}"
        if shape == "cascade":
            self.parts.append(f"CREATE VIEW w1 AS SELECT k, window_time AS wt, COUNT(*) AS c, SUM(n) AS sn FROM TABLE(TUMBLE(TABLE {a}, DESCRIPTOR(et), INTERVAL '2' SECOND)) GROUP BY k, window_start, window_end, window_time;")
            size = self.pick("TUMBLE(TABLE w1, DESCRIPTOR(wt), INTERVAL '10' SECOND)", "HOP(TABLE w1, DESCRIPTOR(wt), INTERVAL '4' SECOND, INTERVAL '8' SECOND)",
                             "CUMULATE(TABLE w1, DESCRIPTOR(wt), INTERVAL '4' SECOND, INTERVAL '12' SECOND)")
            return shape, f"SELECT window_start, window_end, k, SUM(c) AS c, MAX(sn) AS m FROM TABLE({size}) GROUP BY window_start, window_end, k"
        if shape == "legacy":
            kind = self.pick("TUMBLE", "HOP", "SESSION")
            args = {"TUMBLE": "INTERVAL '5' SECOND", "HOP": "INTERVAL '2' SECOND, INTERVAL '6' SECOND", "SESSION": "INTERVAL '3' SECOND"}[kind]
            call = lambda f: f"{kind}{f}(et, {args})"
            return shape, (f"SELECT k, {call('_START')} AS ws, {call('_END')} AS we, {self.aggregate(kind)} AS a0, COUNT(*) AS c "
                           f"FROM {a} GROUP BY k, {call('')}")
        if shape == "union":
            one = f"SELECT k, COUNT(*) AS c, window_end FROM TABLE(TUMBLE(TABLE {a}, DESCRIPTOR(et), INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end"
            two = f"SELECT s, SUM(v) AS c, window_end FROM TABLE(HOP(TABLE {a}, DESCRIPTOR(et), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY s, window_start, window_end"
            return shape, f"{one} UNION ALL {two}"
        if shape == "interval":
            self.source("b")
            low, high = self.rng.randint(0, 4), self.rng.randint(0, 6)
            join = self.pick("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
            return shape, (f"SELECT a.k, a.v, b.k AS bk, b.v AS bv FROM a {join} b ON a.k = b.k AND b.et BETWEEN a.et - INTERVAL '{low}' SECOND AND a.et + INTERVAL '{high}' SECOND")
        return shape, f"SELECT k, v, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY et ASC) AS rn FROM {a}) WHERE rn = 1"


def write(folder, seed):
    rng = random.Random(seed)
    script = Script(rng)
    script.base = rng.choice(BASES)
    zone = rng.choice(ZONES)
    shape, query = script.query()
    head = f"SET 'table.local-time-zone' = '{zone}';\n" if zone != "UTC" else ""
    tables = "\n".join(script.parts)
    # The sink takes whatever types the query has: they are part of the question,
    # so the runner on either side prints them as they are.
    text = f"{head}{tables}\nCREATE VIEW answer AS {query};\n-- answer\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "query.sql").write_text(text)
    (folder / "NOTE").write_text(f"random: {shape}, seed {seed}\n")
    (folder / "input").mkdir(exist_ok=True)
    for name, files in script.sources:
        for partition, rows in files.items():
            (folder / "input" / f"{name}.{partition}.jsonl").write_text("".join(r + "\n" for r in rows))


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("folder", type=Path)
    args.add_argument("--scripts", type=int, default=100)
    args.add_argument("--seed", type=int, default=1)
    args = args.parse_args()
    for i in range(args.scripts):
        write(args.folder / f"s{args.seed}-{i:04}", args.seed * 100_000 + i)


if __name__ == "__main__":
    main()
