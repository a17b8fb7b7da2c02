CREATE TABLE o (
  id INT, s STRING, n INT, f DOUBLE, d DECIMAL(7,2), b BOOLEAN, a ARRAY<INT>, m MAP<STRING, INT>, r ROW<p INT, q STRING>, ts TIMESTAMP(3), dt DATE
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE VIEW answer AS SELECT id,
  JSON_OBJECT(KEY 's' VALUE s, 'n' VALUE n, 'f' VALUE f, 'd' VALUE d, 'b' VALUE b, 'ts' VALUE ts) AS o1,
  JSON_OBJECT('a' VALUE a, 'm' VALUE m, 'r' VALUE r, 'o' VALUE JSON_OBJECT('n': n ABSENT ON NULL) ABSENT ON NULL) AS o2,
  JSON_ARRAY(s, n, f, JSON_ARRAY(d, b NULL ON NULL)) AS a1,
  JSON_ARRAY(a, r, m NULL ON NULL) AS a2,
  JSON_STRING(r) AS js,
  s IS JSON AS j, s IS NOT JSON OBJECT AS jo, s IS JSON ARRAY AS ja, s IS JSON SCALAR AS jc,
  n BETWEEN SYMMETRIC 10 AND -3 AS bs, n NOT BETWEEN SYMMETRIC 10 AND -3 AS nbs, n BETWEEN ASYMMETRIC 10 AND -3 AS ba,
  CASE n WHEN 1, 7 THEN 'one or seven' WHEN -3 THEN 'less' END AS cs,
  (dt, INTERVAL '1' DAY) OVERLAPS (DATE '2024-03-01', DATE '2024-02-29') AS ov,
  dt + INTERVAL '36' HOUR AS later, dt - INTERVAL '1' HOUR AS same
FROM o;
CREATE TABLE res (`id` INT, `o1` STRING, `o2` STRING, `a1` STRING, `a2` STRING, `js` STRING, `j` BOOLEAN, `jo` BOOLEAN, `ja` BOOLEAN, `jc` BOOLEAN, `bs` BOOLEAN, `nbs` BOOLEAN, `ba` BOOLEAN, `cs` VARCHAR(12), `ov` BOOLEAN, `later` DATE, `same` DATE) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
