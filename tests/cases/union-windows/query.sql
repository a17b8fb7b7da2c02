CREATE TABLE o (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (what STRING, window_end TIMESTAMP(3), n BIGINT) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res
SELECT 'five', window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE o, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end
UNION ALL
SELECT 'ten', window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE o, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
