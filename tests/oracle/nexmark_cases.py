#!/usr/bin/env python3
"""Makes the golden cases of queries/nexmark: events from a seed, and for each
query the rows that DuckDB finds in them.

    nexmark_cases.py [QUERIES_FOLDER]

The events come a little out of order, never so much that one is late, and run
over midnight, so that a day's window closes in between.
"""

import json
import random
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

STATES = ["OR", "ID", "CA", "WA", "AZ"]
CHANNELS = ["apple", "Google", "channel-7", "channel-12", "facebook"]


def events():
    rng = random.Random(20260101)
    at = datetime(2026, 1, 1, 23, 58, 30)
    people, auctions = [], []
    rows = []
    for i in range(260):
        at += timedelta(milliseconds=rng.choice([0, 40, 250, 700, 1500]))
        when = at - timedelta(milliseconds=rng.choice([0, 0, 0, 300, 2000]))
        time = when.isoformat(sep=" ", timespec="milliseconds")
        kind = 0 if i % 13 == 0 else 1 if i % 13 in (1, 5, 9) else 2
        event = {"event_type": kind, "person": None, "auction": None, "bid": None}
        if kind == 0:
            people.append(len(people) + 1000)
            event["person"] = {
                "id": people[-1], "name": f"Person {people[-1]}", "emailAddress": "p@example.org", "creditCard": "0",
                "city": rng.choice(["Salem", "Boise"]), "state": rng.choice(STATES), "dateTime": time, "extra": ""}
        elif kind == 1:
            auctions.append(len(auctions) + 1)
            expires = (when + timedelta(seconds=rng.choice([5, 20, 60]))).isoformat(sep=" ", timespec="milliseconds")
            event["auction"] = {
                "id": auctions[-1] * 41, "itemName": f"item {auctions[-1]}", "description": "", "initialBid": 1, "reserve": 5,
                "dateTime": time, "expires": expires, "seller": rng.choice(people[-3:]), "category": rng.choice([10, 11, 12]), "extra": ""}
        else:
            channel = rng.choice(CHANNELS)
            link = f"https://www.nexmark.com/{rng.choice('abc')}/{rng.choice('de')}/f/item.htm?query=1"
            link += f"&channel_id={rng.randint(1, 9)}" if rng.random() < 0.5 else ""
            event["bid"] = {
                "auction": rng.choice(auctions[-6:]) * 41, "bidder": rng.choice(people[-4:]),
                "price": rng.choice([500, 9_999, 10_000, 77_000, 1_000_000, 2_500_000, 60_000_000]), "channel": channel, "url": link,
                "dateTime": time, "extra": rng.choice(["", "cac", "no", "cccc c"])}
        rows.append(event)
    return rows


BOUND = "b.ts BETWEEN a.ts AND a.expires"
RANKS = ("COUNT(*), COUNT(*) FILTER (price < 10000), COUNT(*) FILTER (price >= 10000 AND price < 1000000), "
         "COUNT(*) FILTER (price >= 1000000)")
DISTINCT = ", ".join(
    f"COUNT(DISTINCT {c}) {f}" for c in ("bidder", "auction")
    for f in ("", "FILTER (price < 10000)", "FILTER (price >= 10000 AND price < 1000000)", "FILTER (price >= 1000000)"))
DAY = "strftime(ts, '%Y-%m-%d')"
TEN = "time_bucket(INTERVAL '10 seconds', {}.ts)"
WON = f"(SELECT a.id, a.category, date_trunc('day', a.ts) AS d, MAX(b.price) AS final FROM auction a JOIN bid b ON a.id = b.auction AND {BOUND} {{}} GROUP BY ALL)"
SAME_DAY = "AND date_trunc('day', a.ts) = date_trunc('day', b.ts)"
NINE = (f"SELECT id, itemName, seller, bidder, price, bt FROM (SELECT a.id, a.itemName, a.seller, b.bidder, b.price, b.ts AS bt, "
        f"row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts, b.n) AS rn FROM auction a JOIN bid b ON a.id = b.auction AND {BOUND} {{}}) WHERE rn = 1")
LINK = "regexp_extract(url, '(&|^)channel_id=([^&]*)', 2)"
COUNTS = ("(SELECT auction, COUNT(*) AS num, e FROM (SELECT auction, unnest([time_bucket(INTERVAL '2 seconds', ts) + to_seconds(2 * i) FOR i IN [1, 2, 3, 4, 5]]) AS e "
          "FROM bid) GROUP BY ALL)")
QUERIES = {
    "q0": "SELECT auction, bidder, price, ts FROM bid",
    "q1": "SELECT auction, bidder, CAST(0.908 * price AS DECIMAL(23, 3)), ts FROM bid",
    "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    "q3": "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
    "q4": f"SELECT category, CAST(trunc(AVG(final)) AS BIGINT) FROM {WON.format('')} GROUP BY category",
    "q4_daily": f"SELECT d, category, CAST(trunc(AVG(final)) AS BIGINT) FROM {WON.format(SAME_DAY)} GROUP BY d, category",
    "q5": f"SELECT auction, num, e FROM {COUNTS} c WHERE num >= (SELECT MAX(num) FROM {COUNTS} m WHERE m.e = c.e)",
    "q7": (f"SELECT b.auction, b.bidder, b.price, b.ts FROM bid b JOIN (SELECT MAX(price) AS most, {TEN.format('bid')} + INTERVAL '10 seconds' AS ended FROM bid GROUP BY ended) m "
           "ON b.price = m.most AND b.ts BETWEEN m.ended - INTERVAL '10 seconds' AND m.ended"),
    "q8": f"SELECT DISTINCT p.id, p.name, {TEN.format('p')} FROM person p JOIN auction a ON p.id = a.seller AND {TEN.format('p')} = {TEN.format('a')}",
    "q9": NINE.format(""), "q9_daily": NINE.format(SAME_DAY),
    "q10": "SELECT auction, bidder, price, ts, extra, strftime(ts, '%Y-%m-%d'), strftime(ts, '%H:%M') FROM bid",
    "q11": ("SELECT bidder, COUNT(*), MIN(ts), MAX(ts) + INTERVAL '10 seconds' FROM (SELECT *, SUM(starts) OVER (PARTITION BY bidder ORDER BY ts, n) AS s FROM "
            "(SELECT *, CASE WHEN ts - lag(ts) OVER (PARTITION BY bidder ORDER BY ts, n) <= INTERVAL '10 seconds' THEN 0 ELSE 1 END AS starts FROM bid)) GROUP BY bidder, s"),
    "q13": "SELECT auction, bidder, price, \"dateTime\", value FROM bid JOIN side_input ON auction % 10000 = key",
    "q14": ("SELECT auction, bidder, CAST(0.908 * price AS DECIMAL(23, 3)), CASE WHEN hour(ts) BETWEEN 8 AND 18 THEN 'dayTime' "
            "WHEN hour(ts) <= 6 OR hour(ts) >= 20 THEN 'nightTime' ELSE 'otherTime' END, ts, length(extra) - length(replace(extra, 'c', '')) "
            "FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000"),
    "q15": f"SELECT {DAY} AS d, {RANKS}, {DISTINCT} FROM bid GROUP BY d",
    "q16": f"SELECT channel, {DAY} AS d, MAX(strftime(ts, '%H:%M')), {RANKS}, {DISTINCT} FROM bid GROUP BY channel, d",
    "q17": f"SELECT auction, {DAY} AS d, {RANKS}, MIN(price), MAX(price), CAST(trunc(AVG(price)) AS BIGINT), SUM(price) FROM bid GROUP BY auction, d",
    "q18": "SELECT auction, bidder, price, ts FROM bid QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY ts DESC, n DESC) = 1",
    "q18_daily": f"SELECT auction, bidder, price, ts FROM bid QUALIFY row_number() OVER (PARTITION BY {DAY}, bidder, auction ORDER BY ts DESC, n DESC) = 1",
    "q19": "SELECT auction, bidder, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC, n) AS place FROM bid QUALIFY place <= 10",
    "q19_daily": f"SELECT auction, bidder, price, row_number() OVER (PARTITION BY {DAY}, auction ORDER BY price DESC, n) AS place FROM bid QUALIFY place <= 10",
    "q20": "SELECT b.auction, b.bidder, b.price, a.itemName, a.seller FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
    "q21": (f"SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' ELSE {LINK} END "
            f"FROM bid WHERE {LINK} <> '' OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')"),
    "q22": "SELECT auction, bidder, price, channel, split_part(url, '/', 4), split_part(url, '/', 5), split_part(url, '/', 6) FROM bid",
    "q23": "SELECT b.auction, a.itemName, b.bidder, p.name, b.price FROM bid b JOIN person p ON p.id = b.bidder JOIN auction a ON a.id = b.auction",
}
for daily in ("q15", "q16", "q17"):
    QUERIES[f"{daily}_daily"] = QUERIES[daily]


def cell(value):
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="milliseconds").rstrip("0").rstrip(".")
        return f'"{text}"'
    text = str(value)
    return f'"{text}"' if " " in text or "," in text else text


def main():
    queries = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "queries")
    cases = queries / "nexmark" / "cases"
    rows = events()
    messages = cases / "messages"
    messages.mkdir(parents=True, exist_ok=True)
    file = messages / "nexmark.0.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    db = duckdb.connect()
    for kind in ("person", "auction", "bid"):
        picked = [dict(row[kind], n=n) for n, row in enumerate(rows) if row[kind]]
        (messages / "part.json").write_text("\n".join(json.dumps(p) for p in picked))
        db.execute(f"CREATE TABLE {kind} AS SELECT * REPLACE (\"dateTime\"::TIMESTAMP AS \"dateTime\") , \"dateTime\"::TIMESTAMP AS ts "
                   f"FROM read_json('{messages / 'part.json'}', format = 'newline_delimited')")
    (messages / "part.json").unlink()
    db.execute("ALTER TABLE auction ALTER expires TYPE TIMESTAMP")
    side_input = queries / "nexmark" / "side_input.csv"
    db.execute(f"CREATE TABLE side_input AS SELECT * FROM read_csv('{side_input}', header = false, names = ['key', 'value'])")
    for name, query in QUERIES.items():
        case = cases / name / "over-midnight"
        case.mkdir(parents=True, exist_ok=True)
        link = case / "input"
        if not link.is_symlink():
            link.symlink_to("../../messages")
        if name == "q13":
            (case / "tables").mkdir(exist_ok=True)
            shutil.copy(side_input, case / "tables")
        lines = sorted(",".join(map(cell, row)) for row in db.execute(query).fetchall())
        (case / "expected.csv").write_text("".join(line + "\n" for line in lines))
        (case / "NOTE").write_text("Events from a seed; the rows are DuckDB's, see tests/oracle/nexmark_cases.py.\n")


if __name__ == "__main__":
    main()
