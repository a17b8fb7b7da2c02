SET 'execution.runtime-mode' = 'batch';
CREATE TABLE o (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (who STRING, running INT) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT DISTINCT who, SUM(amount) OVER (PARTITION BY who ORDER BY id) FROM o WHERE amount IS NOT NULL;