CREATE TABLE o (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (id BIGINT, who STRING) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT id, who FROM o WHERE who = 'a' UNION ALL SELECT * FROM (VALUES (10, 'x'), (11, 'y'));