-- Errors by name, number and place.
SELEC 1
SELECT
SELECT 1 FROM
SELECT * FROM
SELECT 1 1
SELECT (1
SELECT 1)
SELECT 'unfinished
SELECT "unfinished
SELECT 1 FROM (SELECT 2
SELECT FROM tpch.tiny.nation
SELECT * FROM nosuch
SELECT * FROM tpch.tiny.nosuch
SELECT * FROM tpch.nosuch.nation
SELECT * FROM nosuch.tiny.nation
SELECT * FROM a.b.c.d
SELECT nosuch
SELECT nosuch FROM tpch.tiny.nation
SELECT n_name, nosuch FROM tpch.tiny.nation
SELECT t.nosuch FROM tpch.tiny.nation t
SELECT u.n_name FROM tpch.tiny.nation t
SELECT n_name FROM tpch.tiny.nation a, tpch.tiny.nation b
SELECT nosuch(1)
SELECT abs()
SELECT abs('x')
SELECT abs(1, 2)
SELECT 1 + 'x'
SELECT 1 + true
SELECT NOT 1
SELECT 1 AND true
SELECT -'x'
SELECT 1 = 'x'
SELECT DATE '2024-01-01' > 1
SELECT CASE WHEN 1 THEN 2 END
SELECT CASE WHEN true THEN 1 ELSE 'x' END
SELECT coalesce(1, 'x')
SELECT 1 WHERE 1
SELECT 1 IN ('a')
SELECT 1 LIKE 'a'
SELECT 1 LIMIT -1
SELECT 1 LIMIT x
SELECT 1 ORDER BY 2
SELECT 1 GROUP BY 2
SELECT x FROM (VALUES 1) AS t(x) ORDER BY y
SELECT x FROM (VALUES 1) AS t(x, y)
SELECT * FROM (VALUES (1, 2), (3)) AS t
SELECT * FROM (VALUES 1, 'a') AS t
SELECT *
SELECT DISTINCT x FROM (VALUES 1) AS t(x) ORDER BY x + 1
WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a
SELECT 1; SELECT 2
SELECT count(*) FROM tpch.tiny.nation WHERE n_nationkey / 0 = 1
SELECT 1 / (x - 1) FROM (VALUES 1) AS t(x)
SELECT CAST(x AS integer) FROM (VALUES '1', 'b') AS t(x)
SELECT fail('told')
SELECT ARRAY[1][2]
SELECT element_at(1, 2)
SELECT transform(ARRAY[1], x -> y)
SELECT x -> 1
SELECT sum(1) OVER (ORDER BY)
SELECT extract(NOSUCH FROM DATE '2024-01-01')
SELECT 99999999999999999999999999999999999999999
SELECT 99999999999999999999
SELECT CAST(99999999999 AS integer)
SELECT DECIMAL '1.2.3'
SELECT X'0'
SELECT X'zz'
SELECT * FROM UNNEST(1)
SELECT * FROM tpch.tiny.nation JOIN tpch.tiny.region ON nosuch = 1
SELECT * FROM tpch.tiny.nation JOIN tpch.tiny.region USING (nosuch)
SELECT n_name AS a FROM tpch.tiny.nation WHERE a = 'x'
SELECT max(n_name), n_regionkey FROM tpch.tiny.nation
SELECT n_name FROM tpch.tiny.nation GROUP BY n_name HAVING n_regionkey > 1
SELECT row_number() FROM tpch.tiny.nation
SELECT abs(DISTINCT 1)
SELECT lower(n_nationkey) FROM tpch.tiny.nation
SELECT date_trunc('day', 'x')
SELECT ROW(1, 2).x
SELECT 1 AS a, 2 AS a
SELECT a FROM (SELECT 1 AS a, 2 AS a)
SELECT grouping(n_name) FROM tpch.tiny.nation
DROP TABLE
CREATE TABLE
SHOW NONSENSE
EXPLAIN
CALL nosuch.nosuch.nosuch()
GRANT SELECT ON tpch.tiny.nosuch TO nobody
ALTER TABLE tpch.tiny.nosuch RENAME TO x
