SET 'table.local-time-zone' = 'America/New_York';
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
  WATERMARK FOR et AS et - INTERVAL '2' SECOND
) WITH ('connector'='kafka','topic'='a','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json','json.ignore-parse-errors'='true');
CREATE VIEW answer AS SELECT window_start, window_end, flag, MIN(`day`) AS a0, COUNT(DISTINCT s) AS a1, MIN(`day`) AS a2 FROM TABLE(SESSION(TABLE a PARTITION BY flag, DESCRIPTOR(et), INTERVAL '5' SECOND)) WHERE dc >= 1.5 GROUP BY window_start, window_end, flag;
CREATE TABLE res (`window_start` TIMESTAMP(3), `window_end` TIMESTAMP(3), `flag` BOOLEAN, `a0` DATE, `a1` BIGINT, `a2` DATE) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
