CREATE FUNCTION f AS 'com.acme.Unknown';
CREATE TABLE o (s STRING) WITH ('connector'='kafka','topic'='o','properties.bootstrap.servers'='localhost:9092','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json');
CREATE TABLE res (s STRING) WITH ('connector'='filesystem','path'='out/res','format'='parquet');
INSERT INTO res SELECT f(s) FROM o;
