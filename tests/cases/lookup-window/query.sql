CREATE TABLE o (
  k STRING, n INT, ts TIMESTAMP(3),
  now AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','format'='csv');
CREATE TABLE names (k STRING, name STRING, least INT) WITH ('connector'='filesystem','path'='names.csv','format'='csv');
CREATE VIEW named AS SELECT t.name, o.n, o.ts FROM o JOIN names FOR SYSTEM_TIME AS OF o.now AS t ON o.k = t.k;
CREATE VIEW sums AS SELECT name, SUM(n) AS n, window_end, window_time FROM TABLE(TUMBLE(TABLE named, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY name, window_start, window_end, window_time;
CREATE TABLE r (name STRING, n INT, window_end TIMESTAMP(3)) WITH ('connector'='filesystem','path'='r','format'='parquet');
INSERT INTO r SELECT name, n, window_end FROM sums;
