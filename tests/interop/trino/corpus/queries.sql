-- Set operations, subqueries, joins, WITH, ORDER BY and LIMIT.
SELECT 1 UNION SELECT 1
SELECT 1 UNION ALL SELECT 1
SELECT 1 AS a UNION SELECT 2 ORDER BY a
SELECT 1 INTERSECT SELECT 1
SELECT 1 EXCEPT SELECT 2
SELECT x FROM (VALUES 1, 2, 2) AS t(x) EXCEPT SELECT 1
SELECT x FROM (VALUES 1, 2, 2) AS t(x) INTERSECT ALL SELECT y FROM (VALUES 2, 2) AS u(y)
SELECT x FROM (VALUES 1, 2, 2) AS t(x) EXCEPT ALL SELECT 2
SELECT 1 UNION SELECT 1.5
SELECT 1 UNION SELECT 'a'
SELECT 1 UNION SELECT 1, 2
(SELECT 1 AS x) UNION ALL (SELECT 2) ORDER BY 1 DESC
SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2
SELECT * FROM (VALUES (1, 'a')) AS t(x, y) NATURAL JOIN (VALUES (1, 'b')) AS u(x, z)
SELECT * FROM (VALUES 1, 2) AS t(x) CROSS JOIN (VALUES 'a', 'b') AS u(y) ORDER BY 1, 2
SELECT * FROM (VALUES 1, 2) AS t(x), (VALUES 'a') AS u(y) ORDER BY 1
SELECT t.x, u.y FROM (VALUES (1, 10), (2, 20)) AS t(x, k) JOIN (VALUES (10, 'a')) AS u(k, y) ON t.k = u.k
SELECT * FROM (VALUES (1, 10), (2, 20)) AS t(x, k) LEFT JOIN (VALUES (10, 'a')) AS u(k, y) ON t.k = u.k ORDER BY x
SELECT * FROM (VALUES (1, 10)) AS t(x, k) RIGHT JOIN (VALUES (10, 'a'), (30, 'b')) AS u(k, y) ON t.k = u.k ORDER BY y
SELECT * FROM (VALUES (1, 10), (2, 20)) AS t(x, k) FULL OUTER JOIN (VALUES (10, 'a'), (30, 'b')) AS u(k, y) ON t.k = u.k ORDER BY x, y
SELECT * FROM (VALUES (1, 10), (2, 20)) AS t(x, k) JOIN (VALUES (10, 'a'), (20, 'b')) AS u(k, y) USING (k) ORDER BY k
SELECT * FROM (VALUES 1, 2) AS t(x) JOIN (VALUES 1, 3) AS u(y) ON x < y ORDER BY 1, 2
SELECT x FROM (VALUES 1, 2) AS t(x) WHERE x IN (SELECT y FROM (VALUES 2, 3) AS u(y))
SELECT x FROM (VALUES 1, 2) AS t(x) WHERE x NOT IN (SELECT y FROM (VALUES 2, NULL) AS u(y))
SELECT x FROM (VALUES 1, 2) AS t(x) WHERE EXISTS (SELECT 1 FROM (VALUES 2) AS u(y) WHERE y = x)
SELECT x FROM (VALUES 1, 2) AS t(x) WHERE NOT EXISTS (SELECT 1 FROM (VALUES 2) AS u(y) WHERE y = x)
SELECT x, (SELECT max(y) FROM (VALUES (1, 5), (1, 7), (2, 3)) AS u(k, y) WHERE k = x) FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x
SELECT (SELECT 1), (SELECT 1 WHERE false)
SELECT (SELECT x FROM (VALUES 1, 2) AS t(x))
SELECT x > ALL (SELECT y FROM (VALUES 1, 2) AS u(y)), x = ANY (SELECT y FROM (VALUES 3) AS u(y)) FROM (VALUES 3) AS t(x)
SELECT t.x, u.m FROM (VALUES 1, 2) AS t(x) CROSS JOIN LATERAL (SELECT t.x * 10 AS m) AS u ORDER BY 1
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH a(x, y) AS (VALUES (1, 2)) SELECT x + y FROM a
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t ORDER BY n
SELECT x FROM (VALUES 3, 1, NULL, 2) AS t(x) ORDER BY x
SELECT x FROM (VALUES 3, 1, NULL, 2) AS t(x) ORDER BY x DESC
SELECT x FROM (VALUES 3, 1, NULL, 2) AS t(x) ORDER BY x NULLS FIRST
SELECT x FROM (VALUES 3, 1, NULL, 2) AS t(x) ORDER BY x DESC NULLS LAST
SELECT x FROM (VALUES 3, 1, 2) AS t(x) ORDER BY -x
SELECT x AS y FROM (VALUES 3, 1, 2) AS t(x) ORDER BY y LIMIT 2
SELECT x FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x OFFSET 1
SELECT x FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x OFFSET 1 ROW FETCH NEXT ROW ONLY
SELECT x FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x OFFSET 1 LIMIT 1
SELECT x FROM (VALUES 1, 2, 2, 3) AS t(x) ORDER BY x FETCH FIRST 2 ROWS WITH TIES
SELECT x FROM (VALUES 1, 2, 3) AS t(x) ORDER BY x LIMIT ALL
SELECT x FROM (VALUES 1, 2, 3) AS t(x) LIMIT 0
SELECT 'b' AS x UNION SELECT 'B' UNION SELECT 'a' ORDER BY x
SELECT * FROM (SELECT 1, 2)
SELECT * FROM (SELECT 1 AS a, count(*) FROM (VALUES 1) AS t(x))
SELECT t.* FROM (VALUES (1, 2)) AS t(a, b)
SELECT t.*, 3 FROM (VALUES (1, 2)) AS t(a, b)
SELECT a, a + 1, upper('x'), t.b FROM (VALUES (1, 2)) AS t(a, b)
SELECT count(*), sum(x), x FROM (VALUES 1) AS t(x) GROUP BY x
SELECT A, "a" FROM (VALUES 1) AS t(a)
SELECT x FROM (VALUES 1, 2, 3, 4) AS t(x) TABLESAMPLE BERNOULLI (100)
SELECT n_name, r_name FROM tpch.tiny.nation JOIN tpch.tiny.region ON n_regionkey = r_regionkey WHERE r_name = 'ASIA' ORDER BY n_name
SELECT r_name, count(*) AS c FROM tpch.tiny.nation, tpch.tiny.region WHERE n_regionkey = r_regionkey GROUP BY r_name ORDER BY c DESC, r_name
SELECT * FROM tpch.tiny.region ORDER BY r_regionkey
SELECT * FROM tpch.tiny.nation ORDER BY n_nationkey LIMIT 3
SELECT * FROM tpch.tiny.supplier ORDER BY s_suppkey LIMIT 3
SELECT * FROM tpch.tiny.customer ORDER BY c_custkey LIMIT 2
SELECT * FROM tpch.tiny.orders ORDER BY o_orderkey LIMIT 3
SELECT * FROM tpch.tiny.lineitem ORDER BY l_orderkey, l_linenumber LIMIT 3
SELECT * FROM tpch.tiny.part ORDER BY p_partkey LIMIT 2
SELECT * FROM tpch.tiny.partsupp ORDER BY ps_partkey, ps_suppkey LIMIT 2
SELECT nation.n_name FROM tpch.tiny.nation WHERE nation.n_nationkey = 3
SELECT n.n_name FROM tpch.tiny.nation n WHERE n.n_nationkey IN (1, 2) ORDER BY n.n_name DESC
SELECT count(*) FROM tpch.tiny.customer c WHERE NOT EXISTS (SELECT * FROM tpch.tiny.orders o WHERE o.o_custkey = c.c_custkey)
SELECT c_mktsegment, count(*) FROM tpch.tiny.customer WHERE c_acctbal > (SELECT avg(c_acctbal) FROM tpch.tiny.customer) GROUP BY c_mktsegment ORDER BY 1
SELECT o_orderkey, o_totalprice FROM tpch.tiny.orders ORDER BY o_totalprice DESC LIMIT 3
SELECT x, y FROM (VALUES (1, 2)) AS t(x, y) WHERE (x, y) = (1, 2)
SELECT x FROM (VALUES 1, 2, 3) t(x) WHERE x BETWEEN SYMMETRIC 3 AND 1
SELECT 1 FROM (VALUES 1) AS t(x) GROUP BY ()
SELECT * FROM (VALUES (1, 'a', 10), (1, 'b', 20)) AS t(id, k, v) MATCH_RECOGNIZE (PARTITION BY id ORDER BY v MEASURES first(a.v) AS f PATTERN (a b) DEFINE b AS b.v > a.v)
SELECT x FROM TABLE(sequence(start => 1, stop => 3)) AS t(x)
WITH FUNCTION plus1(x bigint) RETURNS bigint RETURN x + 1 SELECT plus1(41)
