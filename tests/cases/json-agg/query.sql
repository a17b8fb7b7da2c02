CREATE TABLE o (
  g STRING, k STRING, n INT, f DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE VIEW answer AS SELECT g, window_end AS we,
  JSON_ARRAYAGG(n) AS a, JSON_ARRAYAGG(n NULL ON NULL) AS an, JSON_ARRAYAGG(k) AS ak, JSON_ARRAYAGG(JSON_OBJECT(KEY 'f' VALUE f)) AS ao,
  JSON_OBJECTAGG(KEY k VALUE n) AS o, JSON_OBJECTAGG(k VALUE n ABSENT ON NULL) AS oa, JSON_OBJECTAGG(k VALUE f) AS `of`, JSON_OBJECTAGG(k VALUE JSON_ARRAY(n, f)) AS oo,
  JSON_OBJECT('rows' VALUE COUNT(*), 'all' VALUE JSON_ARRAYAGG(n)) AS c
FROM TABLE(TUMBLE(TABLE o, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY g, window_start, window_end;
CREATE TABLE res (`g` STRING, `we` TIMESTAMP(3), `a` VARCHAR(2000), `an` VARCHAR(2000), `ak` VARCHAR(2000), `ao` VARCHAR(2000), `o` VARCHAR(2000), `oa` VARCHAR(2000), `of` VARCHAR(2000), `oo` VARCHAR(2000), `c` STRING) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
