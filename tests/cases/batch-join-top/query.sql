SET 'execution.runtime-mode' = 'batch';
CREATE TABLE o (
  id BIGINT, who STRING, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE p (
  who STRING, city STRING
) WITH ('connector'='kafka','topic'='p','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (id BIGINT, city STRING) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT o.id, p.city FROM o LEFT JOIN p ON o.who = p.who ORDER BY o.id DESC LIMIT 4;