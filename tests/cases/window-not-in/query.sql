CREATE TABLE a (
  `k` STRING,
  `k2` INT,
  `flag` BOOLEAN,
  `v` BIGINT,
  `n` INT,
  `sm` SMALLINT,
  `d` DOUBLE,
  `dc` DECIMAL(10, 2),
  `s` STRING,
  `day` DATE,
  `ts2` TIMESTAMP(3),
  et TIMESTAMP(3),
  WATERMARK FOR et AS et - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='a','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json','json.ignore-parse-errors'='true');
CREATE TABLE b (
  `k` STRING,
  `k2` INT,
  `flag` BOOLEAN,
  `v` BIGINT,
  `n` INT,
  `sm` SMALLINT,
  `d` DOUBLE,
  `dc` DECIMAL(10, 2),
  `s` STRING,
  `day` DATE,
  `ts2` TIMESTAMP(3),
  et TIMESTAMP(3),
  WATERMARK FOR et AS et
) WITH ('connector'='kafka','topic'='b','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json','json.ignore-parse-errors'='true');
CREATE VIEW answer AS SELECT L.k, L.window_end, L.c FROM (SELECT k, window_start, window_end, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(et), INTERVAL '2' SECOND, INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end) L WHERE L.k NOT IN (SELECT k FROM (SELECT k, window_start, window_end FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(et), INTERVAL '2' SECOND, INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end) R WHERE L.window_start = R.window_start AND L.window_end = R.window_end);
CREATE TABLE res (`k` STRING, `window_end` TIMESTAMP(3), `c` BIGINT) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
