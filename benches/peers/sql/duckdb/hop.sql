-- Slices of 2 s first, then five of them a window: as streaming engines do it.
COPY (
  WITH slices AS (
    SELECT time_bucket(INTERVAL 2 SECOND, "dateTime") AS slice, auction,
      count(*) AS n, sum(price) AS s, min(price) AS mn, max(price) AS mx
    FROM read_json('${LINES}', format = 'newline_delimited', columns = {
      auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', dateTime: 'TIMESTAMP', extra: 'VARCHAR'})
    GROUP BY ALL)
  SELECT window_start, window_start + INTERVAL 10 SECOND AS window_end, auction, n, s, mn, mx
  FROM (
    SELECT slice - back * INTERVAL 2 SECOND AS window_start, auction,
      sum(n)::BIGINT AS n, sum(s)::BIGINT AS s, min(mn) AS mn, max(mx) AS mx
    FROM slices, range(5) AS earlier(back)
    GROUP BY ALL)
) TO '${OUT}/rows.parquet' (FORMAT parquet, COMPRESSION snappy);
