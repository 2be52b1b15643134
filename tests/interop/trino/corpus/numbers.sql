-- Arithmetic and functions of numbers.
SELECT 5 / 2
SELECT -5 / 2
SELECT 5 % 3, -5 % 3, 5 % -3
SELECT 7 / 2 * 2
SELECT 1 + 2 * 3 - 4
SELECT BIGINT '7' / 2
SELECT 5.0 / 2
SELECT 1.0 / 3
SELECT 1.00 / 3.0
SELECT 2.0 / 3, 20.00 / 3.000
SELECT 5e0 / 2
SELECT 5 / 2e0
SELECT 1 / 0
SELECT 1 % 0
SELECT 1.0 / 0
SELECT 1e0 / 0
SELECT -1e0 / 0
SELECT 0e0 / 0
SELECT 2147483647 + 1
SELECT 9223372036854775807 + 1
SELECT -9223372036854775807 - 2
SELECT 2147483647 * 2
SELECT TINYINT '127' + TINYINT '1'
SELECT SMALLINT '100' * SMALLINT '100'
SELECT 1 + 1.5, 1 + 1.5e0, 1.5 + 1.5e0
SELECT 1.5 + 2.25
SELECT 1.5 - 2.25
SELECT 1.5 * 2.25
SELECT DECIMAL '99999999999999999999999999999999999999' + 1
SELECT DECIMAL '10.5' % 3
SELECT - 5, - 1.5, - (- 3)
SELECT abs(-5), abs(-1.5), abs(-1e0)
SELECT ceil(1.2), ceil(-1.2), ceiling(1.2e0)
SELECT floor(1.8), floor(-1.2), floor(1.8e0)
SELECT round(1.5), round(2.5), round(-1.5)
SELECT round(1.5e0), round(2.5e0), round(-2.5e0)
SELECT round(1.234e0, 2), round(1.235, 2), round(1234, -2)
SELECT truncate(1.7e0), truncate(-1.7e0), truncate(12.345, 1)
SELECT sign(-3), sign(0), sign(2.5e0)
SELECT sqrt(16), sqrt(2e0), cbrt(27)
SELECT sqrt(-1)
SELECT power(2, 10), pow(2e0, 0.5e0)
SELECT exp(0), exp(1), ln(1), ln(e())
SELECT log(2, 8), log10(1000), log2(8)
SELECT ln(0), ln(-1)
SELECT mod(7, 3), mod(-7, 3), mod(7.5, 2)
SELECT mod(7, 0)
SELECT pi(), e()
SELECT sin(0), cos(0), tan(0), asin(1), acos(1), atan(1), atan2(1, 1)
SELECT sinh(1e0), cosh(1e0), tanh(1e0)
SELECT degrees(pi()), radians(180)
SELECT greatest(1, 2, 3), least(1, 2, 3), greatest('a', 'b')
SELECT greatest(1, NULL), least(NULL, 1)
SELECT greatest(1.5, 2), greatest(1, 2, 3, 4, 5)
SELECT is_nan(nan()), is_finite(1e0), is_infinite(infinity())
SELECT nan() = nan(), nan() > 1e0, nan() <> nan()
SELECT width_bucket(5.35, 0.024, 10.06, 5)
SELECT to_base(255, 16), from_base('ff', 16), to_base(5, 2)
SELECT bitwise_and(12, 10), bitwise_or(12, 10), bitwise_xor(12, 10), bitwise_not(12)
SELECT bitwise_left_shift(1, 4), bitwise_right_shift(-16, 2), bit_count(255, 64)
SELECT bitwise_right_shift_arithmetic(-16, 2)
SELECT gcd(12, 18)
SELECT random() BETWEEN 0 AND 1, rand() < 1
SELECT random(10) BETWEEN 0 AND 9
SELECT infinity(), -infinity(), nan()
SELECT 1 = 1.0, 1 = 1e0, 0.1 + 0.2 = 0.3, 0.1e0 + 0.2e0 = 0.3e0
SELECT 10 BETWEEN 1 AND 10, 10 NOT BETWEEN 1 AND 5
SELECT 1 IN (1, 2), 3 NOT IN (1, 2), NULL IN (1, 2), 1 IN (2, NULL)
SELECT NULL = NULL, NULL IS DISTINCT FROM NULL, 1 IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM 1
SELECT true AND NULL, false AND NULL, true OR NULL, NOT NULL
SELECT CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'b' ELSE 'c' END
SELECT CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END
SELECT CASE WHEN false THEN 1 END
SELECT if(1 > 0, 'yes', 'no'), if(1 < 0, 'yes')
SELECT coalesce(NULL, NULL, 3), coalesce(1, 2)
SELECT nullif(1, 1), nullif(1, 2)
SELECT 1 <> 2, 1 != 2, 1 <= 1, 2 >= 3
SELECT format_number(1000), format_number(123456)
SELECT parse_data_size('2.3MB')
SELECT beta_cdf(2e0, 3e0, 0.5e0), normal_cdf(0e0, 1e0, 0e0)
SELECT inverse_normal_cdf(0e0, 1e0, 0.5e0)
SELECT cosine_similarity(MAP(ARRAY['a'], ARRAY[1.0e0]), MAP(ARRAY['a'], ARRAY[2.0e0]))
SELECT x / y, x % y FROM (VALUES (7, 2), (-7, 2), (7, -2)) AS t(x, y)
SELECT x / 2 FROM (VALUES 1, 2, 3) AS t(x)
SELECT sum(x) / count(*) FROM (VALUES 1, 2, 4) AS t(x)
SELECT (1 + 2) / (3 - 1)
SELECT 10 / 3 / 2
SELECT 100 * 3 / 7
SELECT - 7 / 2
SELECT 7 / - 2
SELECT CAST(7 AS double) / 2
SELECT 1e308 * 10
SELECT 3 / 2.0e0, 3 / REAL '2'
