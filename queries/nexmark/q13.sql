-- Nexmark 13: bids with what a table of files says of their auction.

CREATE TABLE nexmark (
  event_type INT,
  person ROW<
    id BIGINT, name STRING, emailAddress STRING, creditCard STRING,
    city STRING, state STRING, `dateTime` TIMESTAMP(3), extra STRING>,
  auction ROW<
    id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,
    `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
  bid ROW<
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
    `dateTime` TIMESTAMP(3), extra STRING>,
  `dateTime` AS CASE event_type
    WHEN 0 THEN person.`dateTime` WHEN 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'nexmark',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP:-localhost:9092}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE VIEW bid AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
FROM nexmark WHERE event_type = 2;

CREATE TABLE side_input (
  `key` BIGINT, `value` STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${SIDE_INPUT:-queries/nexmark/side_input.csv}',
  'format' = 'csv'
);

CREATE TABLE q13 (
  auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), `value` STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${LAKE:-file:///tmp/turnstile-lake}/nexmark/q13',
  'format' = 'parquet'
);

INSERT INTO q13
SELECT b.auction, b.bidder, b.price, b.`dateTime`, s.`value`
FROM (SELECT *, PROCTIME() AS now FROM bid) AS b
JOIN side_input FOR SYSTEM_TIME AS OF b.now AS s ON MOD(b.auction, 10000) = s.`key`;
