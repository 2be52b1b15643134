-- Window functions.
SELECT x, row_number() OVER (ORDER BY x) FROM (VALUES 3, 1, 2) AS t(x) ORDER BY x
SELECT x, rank() OVER (ORDER BY x), dense_rank() OVER (ORDER BY x) FROM (VALUES 1, 1, 2) AS t(x) ORDER BY x
SELECT x, percent_rank() OVER (ORDER BY x), cume_dist() OVER (ORDER BY x), ntile(2) OVER (ORDER BY x) FROM (VALUES 1, 2, 3, 4) AS t(x) ORDER BY x
SELECT x, lag(x) OVER (ORDER BY x), lead(x) OVER (ORDER BY x), lag(x, 2, 0) OVER (ORDER BY x) FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT x, first_value(x) OVER (ORDER BY x), last_value(x) OVER (ORDER BY x), nth_value(x, 2) OVER (ORDER BY x) FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT g, x, sum(x) OVER (PARTITION BY g ORDER BY x) FROM (VALUES ('a', 1), ('a', 2), ('b', 5)) AS t(g, x) ORDER BY g, x
SELECT x, sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT x, sum(x) OVER (ORDER BY x ROWS UNBOUNDED PRECEDING), sum(x) OVER () FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT x, sum(x) OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES 1, 2, 4) AS t(x) ORDER BY x
SELECT x, sum(x) OVER (ORDER BY x GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES 1, 1, 2) AS t(x) ORDER BY x
SELECT x, avg(x) OVER w, count(*) OVER w FROM (VALUES 1, 2, 3) AS t(x) WINDOW w AS (ORDER BY x) ORDER BY x
SELECT x, lag(x) IGNORE NULLS OVER (ORDER BY n) FROM (VALUES (1, 10), (2, NULL), (3, 30)) AS t(n, x) ORDER BY n
SELECT x, lead(x) IGNORE NULLS OVER (ORDER BY n), last_value(x) IGNORE NULLS OVER (ORDER BY n) FROM (VALUES (1, 10), (2, NULL), (3, 30)) AS t(n, x) ORDER BY n
SELECT g, max(x) OVER (PARTITION BY g), min(x) OVER (PARTITION BY g) FROM (VALUES ('a', 1), ('a', 2), ('b', 5)) AS t(g, x) ORDER BY g, x
SELECT x, row_number() OVER (ORDER BY x DESC NULLS FIRST) AS r FROM (VALUES 1, NULL, 2) AS t(x) ORDER BY r
SELECT x, row_number() OVER (ORDER BY x) AS r FROM (VALUES 1, NULL, 2) AS t(x) ORDER BY r
SELECT * FROM (SELECT x, row_number() OVER (ORDER BY x DESC) AS r FROM (VALUES 1, 2, 3) AS t(x)) WHERE r = 1
SELECT x, count(*) FILTER (WHERE x > 1) OVER (ORDER BY x) FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT x, array_agg(x) OVER (ORDER BY x) FROM (VALUES 1, 2) AS t(x) ORDER BY x
SELECT n_regionkey, n_name, rank() OVER (PARTITION BY n_regionkey ORDER BY n_name) FROM tpch.tiny.nation WHERE n_nationkey < 6 ORDER BY 1, 3
SELECT sum(count(*)) OVER () FROM tpch.tiny.nation GROUP BY n_regionkey
SELECT n_regionkey, count(*) * 100.0 / sum(count(*)) OVER () FROM tpch.tiny.nation GROUP BY n_regionkey ORDER BY 1
SELECT row_number() OVER () FROM (VALUES 1) AS t(x)
SELECT x, ntile(0) OVER (ORDER BY x) FROM (VALUES 1) AS t(x)
SELECT x FROM (VALUES 1) AS t(x) WHERE row_number() OVER () = 1
SELECT x, sum(x) OVER w FROM (VALUES 1) AS t(x)
SELECT o_custkey, o_orderdate, lag(o_orderdate) OVER (PARTITION BY o_custkey ORDER BY o_orderdate, o_orderkey) FROM tpch.tiny.orders WHERE o_custkey < 10 ORDER BY 1, 2, o_orderkey
