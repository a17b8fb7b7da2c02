CREATE TABLE o (
  k STRING, n INT, ts TIMESTAMP(3),
  now AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','format'='csv');
CREATE TABLE names (k STRING, name STRING, least INT) WITH ('connector'='filesystem','path'='names.csv','format'='csv');
CREATE TABLE r (k STRING, n INT) WITH ('connector'='blackhole');
INSERT INTO r SELECT o.k, o.n FROM o JOIN names FOR SYSTEM_TIME AS OF o.ts AS t ON o.k = t.k;
