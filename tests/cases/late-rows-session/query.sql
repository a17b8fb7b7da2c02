SET 'turnstile.late-rows.path' = 'out/late';
CREATE TABLE o (
  k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (k STRING, window_end TIMESTAMP(3), s INT) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT k, window_end, SUM(v) FROM TABLE(SESSION(TABLE o PARTITION BY k, DESCRIPTOR(ts), INTERVAL '2' SECOND)) GROUP BY k, window_start, window_end;
