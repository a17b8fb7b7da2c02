COPY (
  SELECT window_start, window_start + INTERVAL 5 MINUTE AS window_end,
    CA, UNIT, SCP, STATION, LINENAME, DIVISION, "DATE", "DESC", ENTRIES, EXITS
  FROM (
    SELECT time_bucket(INTERVAL 5 MINUTE, et) AS window_start, CA, UNIT, SCP, STATION, LINENAME, DIVISION, "DATE", "DESC",
      sum(ENTRIES)::BIGINT AS ENTRIES, sum(EXITS)::BIGINT AS EXITS
    FROM read_csv('${LINES}', auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', columns = {
      CA: 'VARCHAR', UNIT: 'VARCHAR', SCP: 'VARCHAR', STATION: 'VARCHAR', LINENAME: 'VARCHAR', DIVISION: 'VARCHAR',
      "DATE": 'VARCHAR', "TIME": 'VARCHAR', "DESC": 'VARCHAR', ENTRIES: 'BIGINT', EXITS: 'BIGINT', UUID: 'VARCHAR', et: 'TIMESTAMP'})
    GROUP BY ALL)
) TO '${OUT}/rows.parquet' (FORMAT parquet, COMPRESSION snappy);
