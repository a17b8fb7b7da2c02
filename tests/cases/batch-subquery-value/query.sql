SET 'execution.runtime-mode' = 'batch';
CREATE TABLE t (k STRING, v INT, ms BIGINT) WITH ('connector'='kafka','topic'='t','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='csv','csv.null-literal'='');
CREATE TABLE r (k STRING, v INT, m BIGINT) WITH ('connector'='filesystem','path'='r','format'='parquet');
INSERT INTO r SELECT k, v, (SELECT MAX(ms) FROM t) AS m FROM t WHERE v > (SELECT MIN(v) + 3 FROM t) AND ms > (SELECT MIN(u.ms) FROM t AS u WHERE u.k = t.k);
