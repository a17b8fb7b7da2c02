SET 'execution.runtime-mode' = 'batch';
CREATE TABLE t (k STRING, v INT, ms BIGINT) WITH ('connector'='kafka','topic'='t','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='csv','csv.null-literal'='');
CREATE TABLE r (k STRING, ms BIGINT, a INT, b INT, c BIGINT, d BIGINT, e INT, f INT) WITH ('connector'='filesystem','path'='r','format'='parquet');
INSERT INTO r SELECT k, ms, LAG(v) OVER (PARTITION BY k ORDER BY ms) AS a, LEAD(v, 2, -1) OVER (PARTITION BY k ORDER BY ms) AS b, NTILE(4) OVER (PARTITION BY k ORDER BY ms) AS c, FIRST_VALUE(ms) OVER (PARTITION BY k ORDER BY ms) AS d, LAST_VALUE(v) OVER (PARTITION BY k ORDER BY ms) AS e,
  CAST(CUME_DIST() OVER (PARTITION BY k ORDER BY ms) * 1000 AS INT) AS f FROM t;
