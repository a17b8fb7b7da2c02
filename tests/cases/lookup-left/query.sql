CREATE TABLE o (
  k STRING, n INT, ts TIMESTAMP(3),
  now AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','format'='csv');
CREATE TABLE names (k STRING, name STRING, least INT) WITH ('connector'='filesystem','path'='names.csv','format'='csv');
CREATE TABLE r (k STRING, n INT, name STRING) WITH ('connector'='filesystem','path'='r','format'='parquet');
INSERT INTO r SELECT o.k, o.n, t.name FROM o LEFT JOIN names FOR SYSTEM_TIME AS OF o.now AS t ON o.k = t.k AND o.n >= t.least;
