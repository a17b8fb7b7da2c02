-- The tables that every script of this folder may use. It is put before each, as line 1.
CREATE TABLE ev (k STRING, n INT, v BIGINT, d DOUBLE, price DECIMAL(10, 2), ok BOOLEAN, born DATE, tod TIME, bin BYTES,
  tags ARRAY<STRING>, attrs MAP<STRING, INT>, who ROW<id INT, name STRING>, plain TIMESTAMP(3), ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'ev', 'properties.bootstrap.servers' = 'b:1', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
CREATE TABLE other (k STRING, v BIGINT, ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts
) WITH ('connector' = 'kafka', 'topic' = 'other', 'properties.bootstrap.servers' = 'b:1', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
CREATE TABLE ended (k STRING, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5');
CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'filesystem', 'path' = '/data/names', 'format' = 'csv');
CREATE TABLE lake (k STRING, v BIGINT) WITH ('connector' = 'filesystem', 'path' = '/data/lake', 'format' = 'parquet');
CREATE TABLE text (k STRING) WITH ('connector' = 'print');
