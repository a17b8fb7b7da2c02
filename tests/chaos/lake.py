"""Whether a lake holds what the query of tests/it/chaos must write, computed by DuckDB from the raw messages.

Usage: lake.py RAW.tsv LAKE_FOLDER

RAW.tsv has partition, offset and message a line. A message is `id,key,value,milliseconds`; what is not is
a dead letter. Windows have 10 seconds. A row is late when the rows before it in its own partition had
carried the watermark, 2 seconds behind, past the last millisecond of its window.
"""
import glob
import sys

import duckdb

raw, lake = sys.argv[1:]
db = duckdb.connect()
db.execute(
    r"""
    CREATE TABLE raw AS
    SELECT * FROM read_csv(?, delim='\t', header=false, quote='', escape='',
                           columns={'p': 'INT', 'o': 'BIGINT', 'line': 'VARCHAR'})
    """,
    [raw],
)
db.execute(
    """
    CREATE TABLE judged AS
    SELECT p, o, try_cast(f[1] AS BIGINT) AS id, f[2] AS k, try_cast(f[3] AS BIGINT) AS v,
      try_cast(f[4] AS BIGINT) AS ms, (ms // 10000 + 1) * 10000 AS window_end,
      max(ms) OVER (PARTITION BY p ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - 2000 AS watermark,
      coalesce(watermark >= window_end - 1, false) AS late
    FROM (SELECT *, string_split(line, ',') AS f FROM raw WHERE NOT starts_with(line, 'no message'))
    """
)
WANTED = {
    "plain": "SELECT id, p, o FROM judged",
    "sums": """SELECT make_timestamp(window_end * 1000), k, count(*), sum(v)::BIGINT, min(id), max(id)
               FROM judged WHERE NOT late GROUP BY window_end, k""",
    "late": "SELECT make_timestamp(window_end * 1000), id FROM judged WHERE late",
    "dead": "SELECT p, o, line FROM raw WHERE starts_with(line, 'no message')",
}
FOUND = {
    "plain": "SELECT id, p, o FROM read_parquet($files)",
    "sums": "SELECT e, k, n, t, least_id, most_id FROM read_parquet($files)",
    "late": "SELECT window_end, json_extract(row, '$.id')::BIGINT FROM read_parquet($files)",
    "dead": """SELECT "partition", "offset", decode(payload) FROM read_parquet($files)""",
}
wrong = False
for table, wanted in WANTED.items():
    files = glob.glob(f"{lake}/{table}/*")
    wanted = db.execute(wanted).fetchall()
    found = db.execute(FOUND[table], {"files": files}).fetchall() if files else []
    kept = set(found)
    doubled = len(found) - len(kept)
    missing, strange = set(wanted) - kept, kept - set(wanted)
    print(f"{table}: {len(wanted)} rows wanted, {len(missing)} missing, {len(strange)} strange, {doubled} doubled")
    wrong |= bool(missing or strange or doubled) or not wanted
    for word, some in ("missing", missing), ("strange", strange):
        for row in sorted(some)[:3]:
            print(" ", word, *row)
sys.exit(wrong)
