-- Dates, times, zones and intervals.
SELECT DATE '2024-01-31' + INTERVAL '1' MONTH
SELECT DATE '2024-01-31' - INTERVAL '1' DAY
SELECT DATE '2024-03-01' - DATE '2024-02-01'
SELECT DATE '2024-02-29' + INTERVAL '1' YEAR
SELECT TIMESTAMP '2024-01-31 10:00:00' + INTERVAL '1' MONTH
SELECT TIMESTAMP '2024-01-01 00:00:00' + INTERVAL '36' HOUR
SELECT TIMESTAMP '2024-01-02 00:00:00' - TIMESTAMP '2024-01-01 12:00:00'
SELECT TIME '23:00:00' + INTERVAL '2' HOUR
SELECT INTERVAL '1' DAY + INTERVAL '2' HOUR, INTERVAL '3' DAY * 2, INTERVAL '3' DAY / 2
SELECT INTERVAL '2' DAY > INTERVAL '30' HOUR, INTERVAL '1' YEAR = INTERVAL '12' MONTH
SELECT DATE '2024-01-01' + 1
SELECT DATE '2024-01-01' + INTERVAL '1' HOUR
SELECT DATE '2024-01-01' < TIMESTAMP '2024-01-01 00:00:01', DATE '2024-01-01' = DATE '2024-01-01'
SELECT date_add('day', 3, DATE '2024-02-27'), date_add('month', 1, DATE '2024-01-31'), date_add('year', -1, DATE '2024-02-29')
SELECT date_add('week', 1, DATE '2024-02-27'), date_add('quarter', 1, DATE '2024-01-31')
SELECT date_add('hour', 25, TIMESTAMP '2024-01-01 00:00:00'), date_add('second', -1, TIMESTAMP '2024-01-01 00:00:00.5')
SELECT date_add('millisecond', 1500, TIMESTAMP '2024-01-01 00:00:00.000'), date_add('minute', 90, TIME '23:00:00')
SELECT date_add('fortnight', 1, DATE '2024-01-01')
SELECT date_diff('day', DATE '2024-01-01', DATE '2024-03-01'), date_diff('month', DATE '2024-01-31', DATE '2024-02-29'), date_diff('year', DATE '2023-12-31', DATE '2024-01-01')
SELECT date_diff('hour', TIMESTAMP '2024-01-01 00:30:00', TIMESTAMP '2024-01-01 02:00:00'), date_diff('week', DATE '2024-01-01', DATE '2024-01-14')
SELECT date_diff('month', DATE '2024-01-15', DATE '2024-03-14'), date_diff('day', TIMESTAMP '2024-01-01 23:00:00', TIMESTAMP '2024-01-02 01:00:00')
SELECT date_diff('second', TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 00:00:59.999'), date_diff('quarter', DATE '2024-01-01', DATE '2024-12-31')
SELECT date_trunc('month', DATE '2024-05-17'), date_trunc('week', DATE '2024-05-17'), date_trunc('quarter', DATE '2024-05-17')
SELECT date_trunc('hour', TIMESTAMP '2024-05-17 10:20:30.456'), date_trunc('day', TIMESTAMP '2024-05-17 10:20:30.456'), date_trunc('second', TIMESTAMP '2024-05-17 10:20:30.456')
SELECT date_trunc('minute', TIME '10:20:30')
SELECT date_trunc('day', TIMESTAMP '2024-05-17 10:20:30 UTC')
SELECT date_trunc('nope', DATE '2024-05-17')
SELECT year(DATE '2024-05-17'), quarter(DATE '2024-05-17'), month(DATE '2024-05-17'), week(DATE '2024-05-17'), day(DATE '2024-05-17')
SELECT day_of_week(DATE '2024-05-19'), day_of_year(DATE '2024-05-17'), dow(DATE '2024-05-17'), doy(DATE '2024-05-17'), day_of_month(DATE '2024-05-17')
SELECT year_of_week(DATE '2024-12-30'), yow(DATE '2024-12-30'), week_of_year(DATE '2024-12-30'), last_day_of_month(DATE '2024-02-10')
SELECT hour(TIMESTAMP '2024-05-17 10:20:30.456'), minute(TIMESTAMP '2024-05-17 10:20:30.456'), second(TIMESTAMP '2024-05-17 10:20:30.456'), millisecond(TIMESTAMP '2024-05-17 10:20:30.456')
SELECT hour(TIME '10:20:30'), second(TIME '10:20:30.9')
SELECT extract(YEAR FROM DATE '2024-05-17'), extract(DOW FROM DATE '2024-05-19'), extract(WEEK FROM DATE '2024-05-17'), extract(DAY_OF_YEAR FROM DATE '2024-05-17')
SELECT extract(HOUR FROM TIMESTAMP '2024-05-17 10:20:30'), extract(SECOND FROM TIMESTAMP '2024-05-17 10:20:30.9')
SELECT extract(DAY FROM INTERVAL '3' DAY), extract(MONTH FROM INTERVAL '14' MONTH)
SELECT extract(TIMEZONE_HOUR FROM TIMESTAMP '2024-05-17 10:20:30 +02:00')
SELECT date('2024-05-17'), date(TIMESTAMP '2024-05-17 10:20:30')
SELECT date_format(TIMESTAMP '2024-05-07 09:08:03.123456', '%Y-%m-%d %H:%i:%s'), date_format(TIMESTAMP '2024-05-07 09:08:03', '%y/%c/%e %k:%i %p')
SELECT date_format(TIMESTAMP '2024-05-07 21:08:03', '%W %M %D'), date_format(TIMESTAMP '2024-05-07 21:08:03', '%a %b %j %h %I %l %r %T')
SELECT date_format(TIMESTAMP '2024-05-07 21:08:03', '%W %M %a %b %j %h:%I %l %r %T %%'), date_format(TIMESTAMP '2024-05-07 21:08:03.123456', '%f'), date_format(DATE '2024-12-30', '%x-%v')
SELECT date_format(ts, f) FROM (VALUES (TIMESTAMP '2024-05-07 21:08:03', '%Y'), (TIMESTAMP '2025-05-07 21:08:03', '%m')) AS t(ts, f)
SELECT date_parse('2024-05-07 09:08', '%Y-%m-%d %H:%i'), date_parse('07/05/24', '%d/%m/%y')
SELECT date_parse('rubbish', '%Y')
SELECT format_datetime(TIMESTAMP '2024-05-07 09:08:03', 'yyyy-MM-dd HH:mm:ss'), format_datetime(TIMESTAMP '2024-05-07 09:08:03.5', 'EEE, d MMM yyyy')
SELECT parse_datetime('2024-05-07 09:08', 'yyyy-MM-dd HH:mm')
SELECT to_char(TIMESTAMP '2024-05-07 09:08:03', 'yyyy-mm-dd hh24:mi:ss'), to_date('2024-05-07', 'yyyy-mm-dd'), to_timestamp('2024-05-07 09', 'yyyy-mm-dd hh24')
SELECT from_unixtime(0), from_unixtime(1700000000.5e0)
SELECT from_unixtime(1700000000, 'Europe/Berlin')
SELECT from_unixtime(1700000000, 2, 30)
SELECT from_unixtime_nanos(1700000000123456789)
SELECT to_unixtime(TIMESTAMP '2024-01-01 00:00:00'), to_unixtime(TIMESTAMP '1970-01-01 00:00:01.5 UTC')
SELECT from_iso8601_date('2024-05-07'), from_iso8601_timestamp('2024-05-07T09:08:03Z'), from_iso8601_timestamp('2024-05-07T09:08:03+02:00')
SELECT from_iso8601_date('2024-W10'), from_iso8601_date('2024-123')
SELECT from_iso8601_timestamp('nope')
SELECT to_iso8601(DATE '2024-05-07'), to_iso8601(TIMESTAMP '2024-05-07 09:08:03.5'), to_iso8601(TIMESTAMP '2024-05-07 09:08:03 UTC')
SELECT to_milliseconds(INTERVAL '1' DAY), parse_duration('3.5d'), human_readable_seconds(3661)
SELECT at_timezone(TIMESTAMP '2024-07-01 12:00:00 UTC', 'Europe/Berlin'), TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York'
SELECT with_timezone(TIMESTAMP '2024-07-01 12:00:00', 'Europe/Berlin')
SELECT CAST(TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York' AS timestamp(0))
SELECT TIMESTAMP '2024-07-01 12:00:00 UTC' = TIMESTAMP '2024-07-01 14:00:00 Europe/Berlin'
SELECT timezone_hour(TIMESTAMP '2024-07-01 12:00:00 +05:30'), timezone_minute(TIMESTAMP '2024-07-01 12:00:00 +05:30')
SELECT TIMESTAMP '2024-07-01 12:00:00 UTC' - TIMESTAMP '2024-07-01 12:00:00 +01:00'
SELECT TIMESTAMP '2024-07-01 12:00:00 UTC' + INTERVAL '1' DAY
SELECT current_timezone()
SELECT now() = current_timestamp, current_date = CAST(now() AS date)
SELECT current_timestamp(0) IS NOT NULL, localtimestamp(3) IS NOT NULL
SELECT sequence(DATE '2024-01-01', DATE '2024-01-03'), sequence(DATE '2024-01-01', DATE '2024-03-01', INTERVAL '1' MONTH)
SELECT sequence(TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 02:00:00', INTERVAL '1' HOUR)
SELECT max(d), min(d) FROM (VALUES DATE '2024-01-01', DATE '2023-01-01') AS t(d)
SELECT o_orderdate, year(o_orderdate), date_trunc('year', o_orderdate) FROM tpch.tiny.orders ORDER BY o_orderkey LIMIT 5
SELECT date_trunc('month', o_orderdate) AS m, count(*) FROM tpch.tiny.orders WHERE o_orderdate < DATE '1992-04-01' GROUP BY 1 ORDER BY 1
SELECT count(*) FROM tpch.tiny.orders WHERE o_orderdate BETWEEN DATE '1995-01-01' AND DATE '1995-12-31'
SELECT DATE '2024-13-01'
SELECT TIMESTAMP '2024-01-01 25:00:00'
SELECT TIME '25:00:00'
SELECT INTERVAL 'x' DAY
SELECT DATE '2024-01-01' + 'x'
SELECT year('2024-01-01')
SELECT TIMESTAMP '2024-01-01 00:00:00' = DATE '2024-01-01'
SELECT date_add('day', 1, TIMESTAMP '2024-01-01 00:00:00 UTC')
SELECT (TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-03 00:00:00') OVERLAPS (TIMESTAMP '2024-01-02 00:00:00', TIMESTAMP '2024-01-04 00:00:00')
SELECT TIME '10:00:00' < TIME '11:00:00', TIME '10:00:00' - TIME '09:30:00'
SELECT - INTERVAL '1' DAY
