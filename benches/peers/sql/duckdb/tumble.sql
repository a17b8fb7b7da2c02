COPY (
  SELECT window_start, window_start + INTERVAL 10 SECOND AS window_end, auction, n, s, mn, mx
  FROM (
    SELECT time_bucket(INTERVAL 10 SECOND, "dateTime") AS window_start, auction,
      count(*) AS n, sum(price)::BIGINT AS s, min(price) AS mn, max(price) AS mx
    FROM read_json('${LINES}', format = 'newline_delimited', columns = {
      auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', dateTime: 'TIMESTAMP', extra: 'VARCHAR'})
    GROUP BY ALL)
) TO '${OUT}/rows.parquet' (FORMAT parquet, COMPRESSION snappy);
