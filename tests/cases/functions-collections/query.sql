CREATE TABLE o (
  id INT, s STRING, n INT, a ARRAY<INT>, e ARRAY<INT>, m MAP<STRING, INT>
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE VIEW answer AS SELECT id,
  JSON_STRING(SPLIT(s, ',')) AS parts, JSON_STRING(SPLIT(s, '')) AS letters,
  JSON_STRING(REGEXP_EXTRACT_ALL(s, '[0-9]+', 0)) AS numbers, JSON_STRING(REGEXP_EXTRACT_ALL(s, '([a-z])([0-9])?', 2)) AS digits,
  JSON_STRING(MAP_ENTRIES(m)) AS entries, CARDINALITY(MAP_ENTRIES(m)) AS size,
  JSON_STRING(ARRAY_REMOVE(a, n)) AS removed, JSON_STRING(ARRAY_CONCAT(a, e, a)) AS joined,
  JSON_STRING(ARRAY_SLICE(a, 2)) AS tail, JSON_STRING(ARRAY_SLICE(a, -2, n)) AS slice, JSON_STRING(ARRAY_SLICE(a, n, 3)) AS slice2,
  ARRAY_CONTAINS(a, n) AS has, ARRAY_POSITION(a, n) AS place, ARRAY_CONTAINS(e, NULL) AS has_null,
  JSON_STRING(ARRAY_EXCEPT(a, e)) AS less, JSON_STRING(ARRAY_UNION(a, e)) AS union_, JSON_STRING(ARRAY_INTERSECT(a, e)) AS shared
FROM o;
CREATE TABLE res (`id` INT, `parts` STRING, `letters` STRING, `numbers` STRING, `digits` STRING, `entries` STRING, `size` INT, `removed` STRING, `joined` STRING, `tail` STRING, `slice` STRING, `slice2` STRING, `has` BOOLEAN, `place` INT, `has_null` BOOLEAN, `less` STRING, `union_` STRING, `shared` STRING) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
