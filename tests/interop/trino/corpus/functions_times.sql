-- Functions of dates and times by themselves, at their edges.
SELECT human_readable_seconds(3661), human_readable_seconds(96), human_readable_seconds(3762), human_readable_seconds(56363463), human_readable_seconds(0), human_readable_seconds(1)
SELECT human_readable_seconds(535333.9513888889e0), human_readable_seconds(-3661), human_readable_seconds(0.4e0), human_readable_seconds(0.5e0), human_readable_seconds(604800), human_readable_seconds(86400), human_readable_seconds(CAST(NULL AS double))
SELECT human_readable_seconds(59.6e0), human_readable_seconds(31536000), human_readable_seconds(1e12)
SELECT human_readable_seconds(nan())
SELECT human_readable_seconds(infinity())
SELECT parse_duration('3.5d') = INTERVAL '84' HOUR, parse_duration('42.8ms') = INTERVAL '0.043' SECOND, parse_duration('1h') > parse_duration('59m'), parse_duration('5s') = INTERVAL '5' SECOND, parse_duration('3.81 d') IS NULL, parse_duration('5m') = INTERVAL '5' MINUTE
SELECT to_milliseconds(parse_duration('3.5d')), to_milliseconds(parse_duration('42.8ms')), to_milliseconds(parse_duration('0.4ms')), to_milliseconds(parse_duration('1500us')), to_milliseconds(parse_duration('999999ns')), to_milliseconds(parse_duration('3.81 d')), to_milliseconds(parse_duration(NULL))
SELECT parse_duration('3.5d')
SELECT parse_duration('')
SELECT parse_duration('1')
SELECT parse_duration('1x')
SELECT parse_duration('-1s')
SELECT to_milliseconds(parse_duration(' 1 s ')), to_milliseconds(parse_duration('1.5h')), to_milliseconds(parse_duration('0s'))
SELECT parse_duration('1.s')
SELECT parse_duration('1S')
SELECT to_iso8601(DATE '2024-05-07'), to_iso8601(CAST(NULL AS date)), to_iso8601(DATE '0999-01-02')
SELECT to_iso8601(TIMESTAMP '2024-05-07 09:08:03.123456'), to_iso8601(TIMESTAMP '2024-05-07 09:08:03.000000'), to_iso8601(CAST(TIMESTAMP '2024-05-07 09:08:03.5' AS timestamp(3))), to_iso8601(CAST(TIMESTAMP '2024-05-07 09:08:03' AS timestamp(0)))
SELECT to_iso8601(TIMESTAMP '2024-05-07 09:08:03.123456 UTC'), to_iso8601(CAST(NULL AS timestamp(6)))
SELECT to_iso8601(DATE '0001-01-02' - INTERVAL '3' YEAR), to_iso8601(DATE '9999-12-31' + INTERVAL '1' DAY), to_iso8601(TIMESTAMP '1969-12-31 23:59:59.999999')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'yyyy-MM-dd HH:mm:ss'), format_datetime(TIMESTAMP '2024-05-07 09:08:03.5', 'EEE, d MMM yyyy')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03.123456', 'yy yyy y MMMM M d D DDD H k K h m s S SS SSS SSSS SSSSSS a'), format_datetime(TIMESTAMP '2024-12-30 00:08:03', 'xxxx xx x ww w e E EEEE EEEEE k K h hh a'), format_datetime(TIMESTAMP '2024-05-07 12:00:00', 'h a K k')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'G C CC Y YY YYYY'), format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'yyyy''T''HH '''' ''a''''b'''), format_datetime(DATE '2024-05-07', 'dd/MM/yyyy HH'), format_datetime(TIMESTAMP '0999-05-07 09:08:03', 'yyyy yy y yyyyy')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03 UTC', 'yyyy-MM-dd HH:mm:ss Z'), format_datetime(TIMESTAMP '2024-05-07 09:08:03 UTC', 'ZZ ZZZ z'), format_datetime(CAST(NULL AS timestamp(3)), 'y'), format_datetime(TIMESTAMP '2024-05-07 09:08:03', CAST(NULL AS varchar))
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'MMM MMMM MMMMM EEEE'), format_datetime(TIMESTAMP '2024-05-07 09:08:03', '#!.,:;-_/ [x]'), format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'é')
SELECT format_datetime(ts, f) FROM (VALUES (TIMESTAMP '2024-05-07 21:08:03', 'yyyy'), (TIMESTAMP '2025-05-07 21:08:03', 'MM')) AS t(ts, f)
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', '')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'b')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', '''open')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'HH z')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'Z')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', '''Z'' y')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03 UTC', 'zzzz')
SELECT format_datetime(TIMESTAMP '2021-01-03 23:59:59.999', 'xxxx-''W''ww-e D hh:mm:ss.SSS a'), format_datetime(TIMESTAMP '2020-12-31 12:30:00', 'x w e')
SELECT parse_datetime('2024-05-07 09:08', 'yyyy-MM-dd HH:mm') = TIMESTAMP '2024-05-07 09:08:00 UTC', parse_datetime('07/05/24', 'dd/MM/yy') = TIMESTAMP '2024-05-07 00:00:00 UTC', parse_datetime('2024-05-07 09:08 +0200', 'yyyy-MM-dd HH:mm Z') = TIMESTAMP '2024-05-07 07:08:00 UTC'
SELECT parse_datetime('May 7, 2024 9:08 PM', 'MMM d, yyyy h:mm a') = TIMESTAMP '2024-05-07 21:08:00 UTC', parse_datetime('2024-128', 'yyyy-DDD') = TIMESTAMP '2024-05-07 00:00:00 UTC', parse_datetime(CAST(NULL AS varchar), 'y') IS NULL
SELECT parse_datetime('2024', 'yyyy') = TIMESTAMP '2024-01-01 00:00:00 UTC', parse_datetime('10:11', 'HH:mm') = TIMESTAMP '1970-01-01 10:11:00 UTC', parse_datetime('2024-05-07T09:08:03.123', 'yyyy-MM-dd''T''HH:mm:ss.SSS') = TIMESTAMP '2024-05-07 09:08:03.123 UTC'
SELECT parse_datetime('2024-05-07 09:08', 'yyyy-MM-dd HH:mm')
SELECT parse_datetime('01/02', 'MM/dd') = TIMESTAMP '2000-01-02 00:00:00 UTC', parse_datetime('1/2/99 3', 'M/d/yy H') = TIMESTAMP '1999-01-02 03:00:00 UTC', parse_datetime('20240507', 'yyyyMMdd') = TIMESTAMP '2024-05-07 00:00:00 UTC', parse_datetime('TUE, 7 may 2024', 'EEE, d MMM yyyy') = TIMESTAMP '2024-05-07 00:00:00 UTC'
SELECT parse_datetime('2024-05-07 12 AM', 'yyyy-MM-dd h a') = TIMESTAMP '2024-05-07 00:00:00 UTC', parse_datetime('12', 'hh') = TIMESTAMP '1970-01-01 00:00:00 UTC', parse_datetime('2024-05-07T01:02:03Z', 'yyyy-MM-dd''T''HH:mm:ssZ') = TIMESTAMP '2024-05-07 01:02:03 UTC', parse_datetime('-05:30 5', 'ZZ H') = TIMESTAMP '1970-01-01 10:30:00 UTC', parse_datetime('May', 'MMMM') = TIMESTAMP '2000-05-01 00:00:00 UTC'
SELECT parse_datetime('2024-02-30', 'yyyy-MM-dd')
SELECT parse_datetime('25', 'HH')
SELECT parse_datetime('2023-366', 'yyyy-DDD')
SELECT parse_datetime('13 AM', 'hh a')
SELECT parse_datetime('5', 'yyyy') = TIMESTAMP '0005-01-01 00:00:00 UTC', parse_datetime('2024', 'yy') = TIMESTAMP '2024-01-01 00:00:00 UTC', parse_datetime('5.1234', 's.S') IS NULL
SELECT parse_datetime('5.12', 's.SSS') = TIMESTAMP '1970-01-01 00:00:05.12 UTC', parse_datetime('1.5', 's.SSSSSS') = TIMESTAMP '1970-01-01 00:00:01.5 UTC'
SELECT parse_datetime('rubbish', 'yyyy')
SELECT parse_datetime('2024-13-01', 'yyyy-MM-dd')
SELECT parse_datetime('2024 ', 'yyyy')
SELECT parse_datetime('2024', '')
SELECT parse_datetime('2024', 'b')
SELECT from_unixtime(1700000000, 2, 30) = TIMESTAMP '2023-11-14 22:13:20 UTC', from_unixtime(1700000000, 'Europe/Berlin') = TIMESTAMP '2023-11-14 22:13:20 UTC', from_unixtime(CAST(NULL AS double), 1, 0) IS NULL
SELECT from_unixtime(0, 99, 0)
SELECT from_unixtime(0, 14, 0) = TIMESTAMP '1970-01-01 00:00:00 UTC', from_unixtime(0, -14, 0) = TIMESTAMP '1970-01-01 00:00:00 UTC', from_unixtime(1.5e0, 1, -30) = TIMESTAMP '1970-01-01 00:00:01.5 UTC'
SELECT from_unixtime(0, 14, 1)
SELECT from_unixtime(0, 'Nowhere/Land')
SELECT from_unixtime_nanos(1700000000123456789) = TIMESTAMP '2023-11-14 22:13:20.123456789 UTC', from_unixtime_nanos(DECIMAL '1700000000123456789') IS NOT NULL
SELECT CAST(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York' AS timestamp(6)), hour(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'Asia/Kolkata'), CAST(TIMESTAMP '2024-07-01 23:00:00 UTC' AT TIME ZONE 'Asia/Kolkata' AS date)
SELECT hour(TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'America/New_York'), CAST(TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'America/New_York' AS timestamp(6)), minute(at_timezone(TIMESTAMP '2024-07-01 12:00:00 UTC', 'Asia/Kolkata'))
SELECT hour(ts AT TIME ZONE 'America/New_York'), day(ts AT TIME ZONE z) FROM (VALUES (TIMESTAMP '2024-07-01 02:00:00 UTC', 'America/New_York'), (TIMESTAMP '2024-12-01 02:00:00 UTC', 'Asia/Tokyo')) AS t(ts, z)
SELECT date_format(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York', '%Y-%m-%d %H:%i'), date_trunc('day', CAST(TIMESTAMP '2024-07-01 02:00:00 UTC' AT TIME ZONE 'America/New_York' AS timestamp(6)))
SELECT TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'Nowhere/Land'
SELECT hour(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE INTERVAL '2' HOUR)
SELECT hour(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE '+05:30')
SELECT TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York' = TIMESTAMP '2024-07-01 12:00:00 UTC'
SELECT to_milliseconds(INTERVAL '-1' DAY), to_milliseconds(CAST(NULL AS interval day to second)), to_milliseconds(INTERVAL '1' HOUR + INTERVAL '2' MINUTE)
SELECT last_day_of_month(DATE '2023-02-10'), last_day_of_month(TIMESTAMP '2024-02-10 10:00:00'), date(TIMESTAMP '2024-02-10 23:59:59')
SELECT date_diff('millisecond', TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 00:00:01.5'), date_diff('day', DATE '2024-03-01', DATE '2024-02-01'), date_diff('month', DATE '2024-03-31', DATE '2024-02-29'), date_diff('year', DATE '2024-02-29', DATE '2023-02-28')
SELECT DATE '2024-01-31' + x * INTERVAL '1' MONTH FROM (VALUES 1, 2) AS t(x)
SELECT d + INTERVAL '1' MONTH, d - INTERVAL '1' YEAR, d + INTERVAL '7' DAY FROM (VALUES DATE '2024-01-31') AS t(d)
SELECT o_orderdate + INTERVAL '1' MONTH, o_orderdate - INTERVAL '3' DAY FROM tpch.tiny.orders ORDER BY o_orderkey LIMIT 3
SELECT count(*) FROM tpch.tiny.orders WHERE o_orderdate >= DATE '1995-01-01' AND o_orderdate < DATE '1995-01-01' + INTERVAL '3' MONTH
SELECT INTERVAL '1' DAY + d, d + INTERVAL '2' DAY + INTERVAL '1' MONTH, (d + INTERVAL '1' DAY) - INTERVAL '1' DAY FROM (VALUES DATE '2024-01-31') AS t(d)
SELECT d + INTERVAL '1' HOUR FROM (VALUES DATE '2024-01-31') AS t(d)
SELECT d + INTERVAL '48' HOUR, d - INTERVAL '24' HOUR FROM (VALUES DATE '2024-01-31', NULL) AS t(d) ORDER BY d
SELECT x + 1 + INTERVAL '1' DAY FROM (VALUES 1) AS t(x)
SELECT CASE WHEN d + INTERVAL '1' DAY > DATE '2024-01-31' THEN 'y' END AS a, (d) - INTERVAL '1' DAY b, d + 2 * INTERVAL '1' DAY AS c, -1 * INTERVAL '1' DAY + d FROM (VALUES DATE '2024-01-31') AS t(d)
SELECT t.d - INTERVAL '1' MONTH, year(t.d + INTERVAL '1' YEAR) + 1, date_diff('day', d, d + INTERVAL '1' MONTH) FROM (VALUES DATE '2024-01-31') AS t(d)
SELECT count(*) FROM tpch.tiny.orders WHERE o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1995-01-01' + INTERVAL '1' YEAR - INTERVAL '1' DAY
SELECT max(d + INTERVAL '1' DAY), count(*) FILTER (WHERE d + INTERVAL '1' DAY > DATE '2024-02-01') FROM (VALUES DATE '2024-01-31', DATE '2024-02-05') AS t(d)
