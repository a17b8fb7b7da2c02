SET 'table.local-time-zone' = 'UTC';
CREATE TABLE bids (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), extra STRING,
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH ('connector'='kafka','topic'='${TOPIC}','properties.bootstrap.servers'='${BROKERS}','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (window_start TIMESTAMP(3), window_end TIMESTAMP(3), auction BIGINT, n BIGINT, s BIGINT, mn BIGINT, mx BIGINT)
WITH ('connector'='filesystem','path'='file://${OUT}','format'='parquet','parquet.compression'='SNAPPY');
INSERT INTO res SELECT window_start, window_end, auction, COUNT(*), SUM(price), MIN(price), MAX(price)
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, auction;
