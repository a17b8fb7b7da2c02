CREATE TABLE o (
  g STRING, k STRING, n INT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE VIEW answer AS SELECT g, window_start AS ws, window_end AS we, JSON_OBJECTAGG(KEY CAST(n AS STRING) || k VALUE f) AS o
FROM TABLE(HOP(TABLE o, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) WHERE n IS NOT NULL GROUP BY g, window_start, window_end;
CREATE TABLE res (`g` STRING, `ws` TIMESTAMP(3), `we` TIMESTAMP(3), `o` VARCHAR(2000)) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
