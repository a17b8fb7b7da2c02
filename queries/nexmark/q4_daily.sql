-- Nexmark 4_daily: the average winning bid by category, of auctions and bids of one day.

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

CREATE VIEW auction AS
SELECT auction.id, auction.itemName, auction.reserve, auction.expires,
  auction.seller, auction.category, `dateTime`
FROM nexmark WHERE event_type = 1;

CREATE VIEW bid AS
SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra
FROM nexmark WHERE event_type = 2;

CREATE TABLE q4_daily (
  `day` TIMESTAMP(3), category BIGINT, price BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '${LAKE:-file:///tmp/turnstile-lake}/nexmark/q4_daily',
  'format' = 'parquet'
);

INSERT INTO q4_daily
SELECT window_start, category, AVG(final)
FROM (
  SELECT a.window_start, a.window_end, a.id, a.category, MAX(b.price) AS final
  FROM (SELECT * FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(`dateTime`), INTERVAL '1' DAY))) AS a
  JOIN (SELECT * FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '1' DAY))) AS b
    ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.id = b.auction
      AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires
  GROUP BY a.window_start, a.window_end, a.id, a.category
)
GROUP BY window_start, window_end, category;
