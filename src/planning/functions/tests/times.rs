//! Points of time.

use super::{check, check_error, check_in};

#[test]
fn text_and_time() {
    check(&[
        ("TO_TIMESTAMP('2026-02-03 04:05:06')", "TIMESTAMP", "2026-02-03T04:05:06"),
        ("TO_TIMESTAMP('2026-02-03 04:05:06.7')", "TIMESTAMP", "2026-02-03T04:05:06.700"),
        ("TO_TIMESTAMP('03/02/26', 'dd/MM/yy')", "TIMESTAMP", "2026-02-03T00:00:00"),
        ("TO_TIMESTAMP('x')", "TIMESTAMP", "NULL"),
        ("DATE_FORMAT(ts, 'yyyyMMdd HHmmss')", "STRING", "20240229 130509"),
        ("DATE_FORMAT('2024-01-02 03:04:05', 'HH')", "STRING", "03"),
        ("TO_DATE('2024-03-31')", "DATE", "2024-03-31"),
        ("TO_DATE('31.03.2024', 'dd.MM.yyyy')", "DATE", "2024-03-31"),
        ("TO_DATE('2024-3-1', 'yyyy-MM-dd')", "DATE", "2024-03-01"),
        ("TO_DATE('1.3.2024', 'dd.MM.yyyy')", "DATE", "2024-03-01"),
        ("TO_DATE('2024-02-30', 'yyyy-MM-dd')", "DATE", "2024-03-01"),
        ("TO_DATE('20240301', 'yyyyMMdd')", "DATE", "2024-03-01"),
        ("DATE_FORMAT(ts, 'hh:mm a')", "STRING", "01:05 PM"),
        ("UNIX_TIMESTAMP('1970-1-2 0:0:0')", "BIGINT", "86400"),
        ("UNIX_TIMESTAMP('1/2/1970', 'dd/MM/yyyy')", "BIGINT", "2678400"),
        ("UNIX_TIMESTAMP('1970-01-01 01', 'yyyy-MM-dd hh')", "BIGINT", "3600"),
        ("UNIX_TIMESTAMP('1970-01-01 12', 'yyyy-MM-dd hh')", "BIGINT", "0"),
        ("UNIX_TIMESTAMP('1970-01-01 01 PM', 'yyyy-MM-dd hh a')", "BIGINT", "46800"),
        ("UNIX_TIMESTAMP('1970-01-01 25', 'yyyy-MM-dd HH')", "BIGINT", "90000"),
        ("UNIX_TIMESTAMP('x')", "BIGINT", "-9223372036854775808"),
        ("FROM_UNIXTIME(0)", "STRING", "1970-01-01 00:00:00"),
        ("UNIX_TIMESTAMP('1970-01-02 00:00:00')", "BIGINT", "86400"),
        (
            "CONVERT_TZ('1970-01-01 00:00:00', 'UTC', 'America/Los_Angeles')",
            "STRING",
            "1969-12-31 16:00:00",
        ),
    ]);
    check_error("DATE_FORMAT(ts, 'yyyy VV')", "letter `V`");
}

#[test]
fn parts() {
    check(&[
        ("YEAR(ts)", "BIGINT", "2024"),
        ("QUARTER(dt)", "BIGINT", "1"),
        ("EXTRACT(MONTH FROM ts)", "BIGINT", "2"),
        ("EXTRACT(DOW FROM ts)", "BIGINT", "5"),
        ("DAYOFWEEK(dt)", "BIGINT", "5"),
        ("DAYOFYEAR(dt)", "BIGINT", "60"),
        ("WEEK(dt)", "BIGINT", "9"),
        ("HOUR(ts)", "BIGINT", "13"),
        ("SECOND(ts)", "BIGINT", "9"),
        ("EXTRACT(EPOCH FROM ts)", "BIGINT", "1709211909"),
    ]);
}

#[test]
fn arithmetic() {
    check(&[
        ("FLOOR(ts TO HOUR)", "TIMESTAMP", "2024-02-29T13:00:00"),
        ("CEIL(ts TO MINUTE)", "TIMESTAMP", "2024-02-29T13:06:00"),
        ("FLOOR(ts TO WEEK)", "TIMESTAMP", "2024-02-25T00:00:00"),
        ("ts + INTERVAL '1' DAY", "TIMESTAMP", "2024-03-01T13:05:09.123456"),
        ("ts - INTERVAL '1:30' HOUR TO MINUTE", "TIMESTAMP", "2024-02-29T11:35:09.123456"),
        ("ts + INTERVAL '1' MONTH", "TIMESTAMP", "2024-03-29T13:05:09.123456"),
        ("ts + INTERVAL '1-1' YEAR TO MONTH", "TIMESTAMP", "2025-03-29T13:05:09.123456"),
        ("dt + INTERVAL '1' MONTH", "DATE", "2024-03-29"),
        ("dt - INTERVAL '1' DAY", "DATE", "2024-02-28"),
        ("TIMESTAMPADD(DAY, -5, ts)", "TIMESTAMP", "2024-02-24T13:05:09.123456"),
        ("TIMESTAMPADD(MONTH, 12, dt)", "DATE", "2025-02-28"),
        ("TIMESTAMPDIFF(MINUTE, TIMESTAMP '2024-02-29 12:00:00', ts)", "INT", "65"),
        ("TIMESTAMPDIFF(MONTH, ts, TIMESTAMP '2024-01-29 13:05:10')", "INT", "-1"),
        ("dt <= DATE '2024-02-29'", "BOOLEAN", "true"),
        ("ts > '2024-01-01 00:00:00'", "BOOLEAN", "true"),
    ]);
}

#[test]
fn instants_are_seen_in_the_sessions_zone() {
    let zone = "America/Los_Angeles";
    check_in(
        zone,
        &[
            ("HOUR(ltz)", "BIGINT", "5"),
            ("DATE_FORMAT(ltz, 'yyyy-MM-dd HH:mm')", "STRING", "2024-02-29 05:05"),
            ("CAST(ltz AS STRING)", "STRING", "2024-02-29 05:05:09.123"),
            ("CAST(ltz AS TIMESTAMP(3))", "TIMESTAMP", "2024-02-29T05:05:09.123"),
            ("CAST(ltz AS DATE)", "DATE", "2024-02-29"),
            ("FLOOR(ltz TO DAY)", "TIMESTAMP_LTZ", "2024-02-29T00:00:00-08:00"),
            ("CAST(ts AS TIMESTAMP_LTZ(3))", "TIMESTAMP_LTZ", "2024-02-29T13:05:09.123-08:00"),
            ("TO_TIMESTAMP_LTZ(0, 3)", "TIMESTAMP_LTZ", "1969-12-31T16:00:00-08:00"),
            ("TO_TIMESTAMP_LTZ(1, 0)", "TIMESTAMP_LTZ", "1969-12-31T16:00:01-08:00"),
            ("FROM_UNIXTIME(0)", "STRING", "1969-12-31 16:00:00"),
            // 24 hours, though the local day of 2024-03-10 has 23.
            (
                "CAST(TIMESTAMP '2024-03-09 12:00:00' AS TIMESTAMP_LTZ(3)) + INTERVAL '1' DAY",
                "TIMESTAMP_LTZ",
                "2024-03-10T13:00:00-07:00",
            ),
        ],
    );
}

#[test]
fn the_time_now() {
    check(&[
        ("CURRENT_TIMESTAMP > TIMESTAMP '2020-01-01 00:00:00'", "BOOLEAN", "true"),
        ("LOCALTIMESTAMP > TIMESTAMP '2020-01-01 00:00:00'", "BOOLEAN", "true"),
        ("NOW() IS NULL", "BOOLEAN", "false"),
        ("PROCTIME() IS NULL", "BOOLEAN", "false"),
        ("CURRENT_DATE > DATE '2020-01-01'", "BOOLEAN", "true"),
        ("CURRENT_TIME IS NULL", "BOOLEAN", "false"),
        ("LOCALTIME IS NULL", "BOOLEAN", "false"),
        ("UNIX_TIMESTAMP() > 1500000000", "BOOLEAN", "true"),
    ]);
}

#[test]
fn dates_and_times_of_day() {
    check(&[
        ("CEIL(dt TO MONTH)", "DATE", "2024-03-01"),
        ("FLOOR(dt TO YEAR)", "DATE", "2024-01-01"),
        ("EXTRACT(HOUR FROM CAST(ts AS TIME))", "BIGINT", "13"),
        ("CAST('13:05:09' AS TIME)", "TIME", "13:05:09"),
        ("TIME '13:05:09' < CAST('14:00:00' AS TIME)", "BOOLEAN", "true"),
        ("TIMESTAMPADD(HOUR, 1, dt)", "TIMESTAMP", "2024-02-29T01:00:00"),
        ("dt + INTERVAL '1' HOUR", "DATE", "2024-02-29"),
        ("ts BETWEEN '2024-01-01' AND '2025-01-01 00:00:00'", "BOOLEAN", "true"),
        ("dt = '2024-02-29'", "BOOLEAN", "true"),
        ("ts = ltz", "BOOLEAN", "true"),
    ]);
}

#[test]
fn a_date_moves_by_whole_days() {
    let cases = [
        ("dt + INTERVAL '1' HOUR", "2024-02-29"),
        ("dt + INTERVAL '24' HOUR", "2024-03-01"),
        ("dt + INTERVAL '25' HOUR", "2024-03-01"),
        ("dt - INTERVAL '1' HOUR", "2024-02-29"),
        ("dt - INTERVAL '1' SECOND", "2024-02-29"),
        ("dt + INTERVAL '1 12' DAY TO HOUR", "2024-03-01"),
        ("INTERVAL '1' HOUR + dt", "2024-02-29"),
        ("dt + INTERVAL '1' HOUR * 30", "2024-03-01"),
        ("dt + INTERVAL '1' MONTH", "2024-03-29"),
    ];
    check(&cases.map(|(expression, value)| (expression, "DATE", value)));
}

#[test]
fn an_interval_several_times() {
    let cases = [
        ("ts + INTERVAL '1' HOUR * 2", "2024-02-29T15:05:09.123456"),
        ("INTERVAL '1' HOUR * 2 + ts", "2024-02-29T15:05:09.123456"),
        ("ts + 2 * INTERVAL '1' HOUR", "2024-02-29T15:05:09.123456"),
        ("ts + INTERVAL '1' MONTH * 2", "2024-04-29T13:05:09.123456"),
    ];
    check(&cases.map(|(expression, value)| (expression, "TIMESTAMP", value)));
}
