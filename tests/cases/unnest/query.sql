CREATE TABLE a (
  id BIGINT, tags ARRAY<STRING>, items ARRAY<ROW<n STRING, q INT>>, m MAP<STRING, INT>
) WITH ('connector'='kafka','topic'='a','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE tag (id BIGINT, tag STRING) WITH ('connector'='filesystem','path'='out/tag','format'='parquet');
CREATE TABLE item (id BIGINT, n STRING, q INT) WITH ('connector'='filesystem','path'='out/item','format'='parquet');
CREATE TABLE entry (id BIGINT, k STRING, v INT) WITH ('connector'='filesystem','path'='out/entry','format'='parquet');
CREATE TABLE kept (id BIGINT, tag STRING) WITH ('connector'='filesystem','path'='out/kept','format'='parquet');
INSERT INTO tag SELECT id, t.tag FROM a CROSS JOIN UNNEST(tags) AS t (tag) WHERE t.tag <> 'no';
INSERT INTO item SELECT a.id, n, q FROM a, UNNEST(a.items) AS t (n, q);
INSERT INTO entry SELECT id, k, v FROM a CROSS JOIN UNNEST(m) AS t (k, v);
INSERT INTO kept SELECT id, tag FROM a LEFT JOIN UNNEST(tags) AS t (tag) ON TRUE;
