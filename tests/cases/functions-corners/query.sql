CREATE TABLE o (
  id INT, s STRING, n INT, r FLOAT, f DOUBLE, d DECIMAL(7,2), ts TIMESTAMP(3)
) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE VIEW answer AS SELECT id,
  r + f AS rf, f + r AS fr, r * f AS rxf, r / f AS rdf, CASE WHEN n > 0 THEN r ELSE f END AS c, IF(n > 0, f, r) AS i, COALESCE(r, f) AS co,
  ROUND(n, -1) AS rn, ROUND(d, 1) AS rd, ROUND(r, 0) AS rr,
  TO_DATE(s) AS td, TO_DATE(s, 'yyyy-MM-dd') AS tdp, UNIX_TIMESTAMP(s, 'yyyy-MM-dd') AS ut,
  DATE_FORMAT(ts, 'hh:mm a') AS hh, DATE_FORMAT(ts, 'h K k H') AS h, TO_TIMESTAMP(s, 'yyyy-MM-dd hh') AS th,
  PRINTF('%05d|%-8s|%x', n, s, n) AS pr, PRINTF('%.2f %e', f, f) AS pf,
  HEX(DECODE(ENCODE(s, 'UTF-16BE'), 'ISO-8859-1')) AS enc,
  RAND_INTEGER(7, 100) >= 0 AS ri
FROM o;
CREATE TABLE res (`id` INT, `rf` FLOAT, `fr` DOUBLE, `rxf` FLOAT, `rdf` FLOAT, `c` FLOAT, `i` DOUBLE, `co` DOUBLE, `rn` INT, `rd` DECIMAL(7, 1), `rr` FLOAT, `td` DATE, `tdp` DATE, `ut` BIGINT, `hh` STRING, `h` STRING, `th` TIMESTAMP(3), `pr` STRING, `pf` STRING, `enc` STRING, `ri` BOOLEAN) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT * FROM answer;
