SET 'turnstile.functions.com.acme.Initials' = '(s STRING, n INT) RETURNS STRING AS UPPER(SUBSTRING(s FROM 1 FOR n))';
SET 'turnstile.functions.com.acme.Double' = '(x DECIMAL(10, 2)) RETURNS DECIMAL(12, 2) AS x + x';
CREATE TEMPORARY FUNCTION IF NOT EXISTS initials AS 'com.acme.Initials' LANGUAGE JAVA USING JAR 'file:///acme.jar';
CREATE TEMPORARY SYSTEM FUNCTION Twice AS 'com.acme.Double';
CREATE FUNCTION gone AS 'com.acme.Double';
DROP FUNCTION gone;
DROP FUNCTION IF EXISTS gone;
CREATE FUNCTION count_char AS 'com.github.nexmark.flink.udf.CountChar';
CREATE TABLE o (
  s STRING, n BIGINT, w AS INITIALS(s, 1), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (s STRING, i STRING, w STRING, d DECIMAL(12, 2), c BIGINT) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT s, initials(initials(s, 3), 2), w, twice(n + 1), count_char(s, 'a') FROM o WHERE twice(1) = 2;
