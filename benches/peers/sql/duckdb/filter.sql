COPY (
  SELECT auction, bidder, price * 2 AS price, "dateTime", url
  FROM read_json('${LINES}', format = 'newline_delimited', columns = {
    auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', dateTime: 'TIMESTAMP', extra: 'VARCHAR'})
  WHERE channel <> 'Google' AND price > 1000
) TO '${OUT}/rows.parquet' (FORMAT parquet, COMPRESSION snappy);
