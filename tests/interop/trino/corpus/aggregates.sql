-- Aggregates and GROUP BY.
SELECT count(*), count(x), count(DISTINCT x) FROM (VALUES 1, 2, 2, NULL) AS t(x)
SELECT sum(x), avg(x), min(x), max(x) FROM (VALUES 1, 2, 3) AS t(x)
SELECT sum(x), avg(x) FROM (VALUES 1.5, 2.5) AS t(x)
SELECT sum(x), avg(x) FROM (VALUES 1.5e0, 2.5e0) AS t(x)
SELECT sum(x), avg(x), count(x) FROM (VALUES CAST(NULL AS integer)) AS t(x)
SELECT sum(x) FROM (SELECT 1 AS x WHERE false)
SELECT count(*) FROM (SELECT 1 WHERE false)
SELECT sum(BIGINT '9223372036854775807') FROM (VALUES 1, 2) AS t(x)
SELECT sum(x) FROM (VALUES REAL '1.5', REAL '2.25') AS t(x)
SELECT avg(x) FROM (VALUES 1, 2) AS t(x)
SELECT avg(x) FROM (VALUES 1.0, 2.0, 2.0) AS t(x)
SELECT sum(DISTINCT x), avg(DISTINCT x) FROM (VALUES 1, 1, 3) AS t(x)
SELECT bool_and(x), bool_or(x), every(x) FROM (VALUES true, false) AS t(x)
SELECT count_if(x > 1), arbitrary(x) IS NOT NULL, any_value(x) IS NOT NULL FROM (VALUES 1, 2, 3) AS t(x)
SELECT array_agg(x ORDER BY x), array_agg(DISTINCT x ORDER BY x) FROM (VALUES 2, 1, 2) AS t(x)
SELECT array_agg(x ORDER BY x) FROM (VALUES 2, NULL, 1) AS t(x)
SELECT array_agg(x) FROM (SELECT 1 AS x WHERE false)
SELECT max_by(x, y), min_by(x, y) FROM (VALUES ('a', 2), ('b', 1)) AS t(x, y)
SELECT max_by(x, y, 2), max(y, 2), min(y, 2) FROM (VALUES ('a', 2), ('b', 1), ('c', 3)) AS t(x, y)
SELECT stddev(x), stddev_pop(x), stddev_samp(x), variance(x), var_pop(x), var_samp(x) FROM (VALUES 1, 2, 3, 4) AS t(x)
SELECT stddev(x), var_samp(x) FROM (VALUES 1) AS t(x)
SELECT corr(x, y), covar_pop(x, y), covar_samp(x, y) FROM (VALUES (1e0, 2e0), (2e0, 4e0), (3e0, 7e0)) AS t(x, y)
SELECT regr_slope(y, x), regr_intercept(y, x), regr_r2(y, x), regr_count(y, x) FROM (VALUES (1e0, 2e0), (2e0, 4e0), (3e0, 6e0)) AS t(x, y)
SELECT skewness(x), kurtosis(x) FROM (VALUES 1e0, 2e0, 3e0, 10e0) AS t(x)
SELECT geometric_mean(x) FROM (VALUES 2e0, 8e0) AS t(x)
SELECT approx_distinct(x) FROM (VALUES 1, 2, 2, 3) AS t(x)
SELECT approx_percentile(x, 0.5) FROM (VALUES 1, 2, 3, 4, 5) AS t(x)
SELECT approx_percentile(x, ARRAY[0.25, 0.75]) FROM (VALUES 1e0, 2e0, 3e0, 4e0, 5e0) AS t(x)
SELECT checksum(x) IS NOT NULL FROM (VALUES 1, 2) AS t(x)
SELECT bitwise_and_agg(x), bitwise_or_agg(x), bitwise_xor_agg(x) FROM (VALUES 12, 10) AS t(x)
SELECT entropy(x) FROM (VALUES 1, 1) AS t(x)
SELECT numeric_histogram(2, x) IS NOT NULL FROM (VALUES 1e0, 2e0) AS t(x)
SELECT reduce_agg(x, 0, (a, b) -> a + b, (a, b) -> a + b) FROM (VALUES 1, 2, 3) AS t(x)
SELECT sum(x) FILTER (WHERE y = 'a'), count(*) FILTER (WHERE y = 'b') FROM (VALUES (1, 'a'), (2, 'b'), (3, 'a')) AS t(x, y)
SELECT y, sum(x) FROM (VALUES (1, 'a'), (2, 'b'), (3, 'a')) AS t(x, y) GROUP BY y ORDER BY y
SELECT y, sum(x) AS s FROM (VALUES (1, 'a'), (2, 'b'), (3, 'a')) AS t(x, y) GROUP BY 1 HAVING sum(x) > 2 ORDER BY s DESC
SELECT upper(y), count(*) FROM (VALUES 'a', 'A', 'b') AS t(y) GROUP BY upper(y) ORDER BY 1
SELECT y, count(*) FROM (VALUES NULL, 'a', NULL) AS t(y) GROUP BY y ORDER BY y
SELECT a, b, sum(x) FROM (VALUES ('p', 'q', 1), ('p', 'r', 2)) AS t(a, b, x) GROUP BY ROLLUP (a, b) ORDER BY a, b
SELECT a, b, sum(x) FROM (VALUES ('p', 'q', 1), ('p', 'r', 2)) AS t(a, b, x) GROUP BY CUBE (a, b) ORDER BY a, b
SELECT a, b, sum(x), grouping(a, b) FROM (VALUES ('p', 'q', 1), ('p', 'r', 2)) AS t(a, b, x) GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b, 4
SELECT a, sum(x) FROM (VALUES ('p', 1)) AS t(a, x) GROUP BY a, ()
SELECT DISTINCT y FROM (VALUES 'b', 'a', 'b') AS t(y) ORDER BY y
SELECT DISTINCT a, b FROM (VALUES (1, 1), (1, 1), (1, 2)) AS t(a, b) ORDER BY 1, 2
SELECT count(*) FROM tpch.tiny.lineitem
SELECT l_returnflag, count(*), sum(l_quantity), avg(l_discount) FROM tpch.tiny.lineitem GROUP BY l_returnflag ORDER BY 1
SELECT sum(l_orderkey), sum(l_linenumber), avg(l_linenumber) FROM tpch.tiny.lineitem
SELECT max(l_shipdate), min(l_shipdate) FROM tpch.tiny.lineitem
SELECT o_orderpriority, count(DISTINCT o_custkey) FROM tpch.tiny.orders GROUP BY o_orderpriority ORDER BY o_orderpriority
SELECT avg(o_totalprice), sum(o_totalprice) FROM tpch.tiny.orders
SELECT sum(l_extendedprice * (1 - l_discount)) FROM tpch.tiny.lineitem
SELECT sum(l_quantity) / count(*) FROM tpch.tiny.lineitem
SELECT 100.0 * sum(CASE WHEN n_regionkey = 1 THEN 1 ELSE 0 END) / count(*) FROM tpch.tiny.nation
SELECT n_regionkey, array_agg(n_name ORDER BY n_name) FROM tpch.tiny.nation GROUP BY n_regionkey ORDER BY 1
SELECT n_regionkey, map_agg(n_nationkey, n_name) FROM tpch.tiny.nation WHERE n_nationkey < 3 GROUP BY 1 ORDER BY 1
SELECT n_name FROM tpch.tiny.nation GROUP BY n_regionkey
SELECT sum(n_name) FROM tpch.tiny.nation
SELECT sum(sum(n_nationkey)) FROM tpch.tiny.nation
SELECT n_name FROM tpch.tiny.nation WHERE sum(n_nationkey) > 1
SELECT count(DISTINCT n_regionkey, n_name) FROM tpch.tiny.nation
SELECT x, count(*) FROM (VALUES 1, 2) AS t(x) HAVING count(*) > 1
SELECT count() FROM (VALUES 1) AS t(x)
