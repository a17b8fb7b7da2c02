-- Passages through every turnstile, five minutes at a time, as CSV files.
--
--   turnstile run queries/turnstile_5min_csv.sql
--
-- From the environment:
--   KAFKA_BOOTSTRAP   the brokers; localhost:9092 unless set
--   LAKE              where the result lands, as a URI: file:///folder or
--                     s3://bucket/prefix. A path that is not absolute would be
--                     another folder on each machine of a Flink cluster, so the
--                     default is one that every machine has.

-- A reading whose time cannot be read is left out; unless told so, a job stops.
SET 'table.exec.source.rowtime-null-handling' = 'DROP';

-- What the turnstiles send: lines of text with commas.
CREATE TABLE turnstile (
  CA          STRING,
  UNIT        STRING,
  SCP         STRING,
  STATION     STRING,
  LINENAME    STRING,
  DIVISION    STRING,
  `DATE`      STRING,  -- mm-dd-yy
  `TIME`      STRING,  -- HH:mm:ss
  `DESC`      STRING,
  ENTRIES     BIGINT,  -- since the turnstile's last reading
  EXITS       BIGINT,
  ID          STRING,
  `TIMESTAMP` STRING,  -- yyyy-MM-dd HH:mm:ss
  -- The time that windows go by: the turnstile's clock, not Kafka's.
  event_time AS TO_TIMESTAMP(`TIMESTAMP`),
  -- A reading may come up to five minutes after one that was made later, so a
  -- window closes when a reading of five minutes after its end has been seen.
  WATERMARK FOR event_time AS event_time - INTERVAL '5' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = 'turnstile',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP:-localhost:9092}',
  'scan.startup.mode' = 'earliest-offset',
  -- A partition that is silent for this long does not hold the others back.
  'scan.watermark.idle-timeout' = '30 s',
  'format' = 'csv',
  -- A line that cannot be read is counted and left out.
  'csv.ignore-parse-errors' = 'true'
);

-- What lands in the lake: one row per turnstile, window and kind of reading.
CREATE TABLE turnstile_5min_csv (
  CA       STRING,
  UNIT     STRING,
  SCP      STRING,
  STATION  STRING,
  LINENAME STRING,
  DIVISION STRING,
  `DATE`   STRING,
  `TIME`   STRING,  -- the end of the five minutes; 00:00:00 ends the day in `DATE`
  `DESC`   STRING,
  ENTRIES  BIGINT,
  EXITS    BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '${LAKE:-file:///tmp/lake}/turnstile_5min_csv',
  'format' = 'csv'
);

INSERT INTO turnstile_5min_csv
SELECT
  CA, UNIT, SCP, STATION, LINENAME, DIVISION, `DATE`,
  DATE_FORMAT(window_end, 'HH:mm:ss') AS `TIME`,
  `DESC`,
  SUM(ENTRIES) AS ENTRIES,
  SUM(EXITS) AS EXITS
FROM TABLE(TUMBLE(TABLE turnstile, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end,
  CA, UNIT, SCP, STATION, LINENAME, DIVISION, `DATE`, `DESC`;
