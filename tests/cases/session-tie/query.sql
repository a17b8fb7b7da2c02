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
CREATE VIEW answer AS SELECT k, v, n, window_start, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY et ASC) AS rn FROM TABLE(SESSION(DATA => TABLE a PARTITION BY (k), TIMECOL => DESCRIPTOR(et), GAP => INTERVAL '1' SECOND))) WHERE rn <= 1;
CREATE TABLE res (`k` STRING, `v` BIGINT, `n` INT, `window_start` TIMESTAMP(3), `window_end` TIMESTAMP(3)) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
