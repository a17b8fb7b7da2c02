"""What queries/turnstile_5min.sql must write, computed by DuckDB from the raw messages.

Usage: turnstile_5min.py RAW.tsv LAKE_FOLDER LATE

RAW.tsv has partition, offset and message a line. A message with more than 13 fields is left out; so is
one whose time cannot be read. A row is late when the rows before it in its own partition had carried the
watermark, 5 minutes behind, past the last millisecond of its window.
"""
import sys

import duckdb

raw, lake, late = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = duckdb.connect()
db.execute(
    """
    CREATE TABLE wanted_rows AS
    WITH fields AS (
      SELECT partition, "offset", string_split(line, ',') AS f
      FROM read_csv(?, delim='\t', header=false, quote='', escape='',
                    columns={'partition': 'INT', 'offset': 'BIGINT', 'line': 'VARCHAR'})
    ), timed AS (
      SELECT partition, "offset", f, epoch_ms(try_strptime(f[13], '%Y-%m-%d %H:%M:%S')) AS ms
      FROM fields WHERE len(f) <= 13
    ), judged AS (
      SELECT *, (ms // 300000 + 1) * 300000 AS window_end,
        max(ms) OVER (PARTITION BY partition ORDER BY "offset"
                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - 300000 AS watermark
      FROM timed WHERE ms IS NOT NULL
    )
    SELECT *, coalesce(watermark >= window_end - 1, false) AS late FROM judged
    """,
    [raw],
)
db.execute(
    """
    CREATE TABLE wanted AS
    SELECT f[1] AS CA, f[2] AS UNIT, f[3] AS SCP, f[4] AS STATION, f[5] AS LINENAME, f[6] AS DIVISION,
      f[7] AS DATE, strftime(make_timestamp(window_end * 1000), '%H:%M:%S') AS TIME, f[9] AS DESC_,
      sum(try_cast(f[10] AS BIGINT))::BIGINT AS ENTRIES, sum(try_cast(f[11] AS BIGINT))::BIGINT AS EXITS
    FROM wanted_rows WHERE NOT late
    GROUP BY window_end, ALL
    """.replace("GROUP BY window_end, ALL", "GROUP BY window_end, f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[9]")
)
db.execute(
    """
    CREATE TABLE found AS
    SELECT CA, UNIT, SCP, STATION, LINENAME, DIVISION, DATE::VARCHAR AS DATE, TIME, "DESC" AS DESC_, ENTRIES, EXITS
    FROM read_parquet(?, hive_partitioning=true, hive_types={'DATE': 'VARCHAR'})
    """,
    [lake + "/**/*.parquet"],
)
one = lambda sql: db.execute(sql).fetchone()[0]
missing = one("SELECT count(*) FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM found)")
extra = one("SELECT count(*) FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM wanted)")
wanted_late = one("SELECT count(*) FROM wanted_rows WHERE late")
rows = one("SELECT count(*) FROM wanted")
print(f"{rows} rows wanted, {missing} missing, {extra} too many; {wanted_late} late wanted, {late} told")
if missing or extra or wanted_late != late or rows == 0:
    print(db.execute("SELECT 'missing', * FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM found) LIMIT 5").fetchall())
    print(db.execute("SELECT 'too many', * FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM wanted) LIMIT 5").fetchall())
    sys.exit(1)
