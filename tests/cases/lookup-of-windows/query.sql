CREATE TABLE o (
  k STRING, n INT, ts TIMESTAMP(3),
  now AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','format'='csv');
CREATE TABLE names (k STRING, name STRING, least INT) WITH ('connector'='filesystem','path'='names.csv','format'='csv');
CREATE VIEW sums AS SELECT k, SUM(n) AS n, window_end, PROCTIME() AS now FROM TABLE(TUMBLE(TABLE o, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;
CREATE TABLE r (k STRING, n INT, window_end TIMESTAMP(3), name STRING) WITH ('connector'='filesystem','path'='r','format'='parquet');
INSERT INTO r SELECT s.k, s.n, s.window_end, t.name FROM sums AS s LEFT JOIN names FOR SYSTEM_TIME AS OF s.now AS t ON s.k = t.k AND t.least = 0;
