-- Tables made and changed, in a catalog that both can write.
CREATE SCHEMA IF NOT EXISTS memory.work
CREATE SCHEMA memory.work
CREATE TABLE memory.work.t (id bigint, name varchar, amount decimal(10,2), day date)
CREATE TABLE memory.work.t (id bigint)
CREATE TABLE IF NOT EXISTS memory.work.t (id bigint)
DESCRIBE memory.work.t
INSERT INTO memory.work.t VALUES (1, 'a', 1.50, DATE '2024-01-01'), (2, 'b', NULL, NULL)
INSERT INTO memory.work.t (id, name) VALUES (3, 'c')
INSERT INTO memory.work.t (id, name) SELECT 4, 'd'
SELECT * FROM memory.work.t ORDER BY id
SELECT count(*), sum(amount) FROM memory.work.t
INSERT INTO memory.work.t VALUES (1)
INSERT INTO memory.work.t (id, nosuch) VALUES (1, 2)
INSERT INTO memory.work.t (id) VALUES ('x')
INSERT INTO memory.work.nosuch VALUES (1)
CREATE TABLE memory.work.u AS SELECT n_nationkey AS k, n_name AS name FROM tpch.tiny.nation WHERE n_regionkey = 1
SELECT * FROM memory.work.u ORDER BY k
CREATE TABLE memory.work.v WITH NO DATA AS SELECT 1 AS a
CREATE TABLE memory.work.w AS SELECT 1 AS a, 'x' AS b WITH NO DATA
SELECT count(*) FROM memory.work.w
CREATE TABLE memory.work.x AS SELECT 1, 2
CREATE TABLE memory.work.y (a bigint, a bigint)
CREATE TABLE memory.work.z (a nosuchtype)
CREATE TABLE memory.nosuchschema.z (a bigint)
CREATE TABLE nosuchcatalog.work.z (a bigint)
UPDATE memory.work.t SET name = 'z' WHERE id = 1
DELETE FROM memory.work.t WHERE id = 4
SELECT id, name FROM memory.work.t ORDER BY id
CREATE VIEW memory.work.vw AS SELECT id, name FROM memory.work.t WHERE id < 3
CREATE VIEW memory.work.vw AS SELECT 1 AS a
CREATE OR REPLACE VIEW memory.work.vw AS SELECT id, upper(name) AS name FROM memory.work.t WHERE id < 3
SELECT * FROM memory.work.vw ORDER BY id
SELECT table_name, table_type FROM memory.information_schema.tables WHERE table_schema = 'work' ORDER BY table_name
SHOW TABLES FROM memory.work
ALTER TABLE memory.work.t ADD COLUMN extra bigint
ALTER TABLE memory.work.t RENAME TO memory.work.t2
SELECT count(*) FROM memory.work.t2
COMMENT ON TABLE memory.work.t2 IS 'told'
CREATE TABLE memory.work.p (a bigint) WITH (nosuch = 1)
CREATE TABLE memory.work.p (a bigint) WITH (nosuch = 1
CREATE TABLE memory.work.p COMMENT 'of p' AS SELECT 1 AS a
CREATE TABLE memory.work.c (a bigint COMMENT 'of a', b varchar)
COMMENT ON COLUMN memory.work.c.b IS 'of b'
COMMENT ON COLUMN memory.work.c.nosuch IS 'x'
SHOW COLUMNS FROM memory.work.c
SELECT column_name, comment FROM memory.information_schema.columns WHERE table_schema = 'work' AND table_name = 'c' ORDER BY ordinal_position
SELECT table_name, comment FROM system.metadata.table_comments WHERE catalog_name = 'memory' AND schema_name = 'work' AND table_name IN ('c', 'p') ORDER BY 1
CREATE OR REPLACE VIEW memory.work.vi SECURITY INVOKER AS SELECT a FROM memory.work.p
SELECT * FROM memory.work.vi
DROP VIEW memory.work.vi
DROP TABLE memory.work.p
INSERT INTO memory.work.c VALUES (1, 'a'), (2, 'b')
MERGE INTO memory.work.c AS d USING (VALUES (2, 'z'), (3, 'y')) AS s(a, b) ON d.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)
SELECT * FROM memory.work.c ORDER BY a
DELETE FROM memory.work.c WHERE (a) IN (SELECT 3)
DROP TABLE memory.work.c
TRUNCATE TABLE memory.work.u
SELECT count(*) FROM memory.work.u
DROP VIEW memory.work.vw
DROP VIEW memory.work.vw
DROP VIEW IF EXISTS memory.work.vw
DROP TABLE memory.work.t2
DROP TABLE memory.work.nosuch
DROP TABLE IF EXISTS memory.work.nosuch
DROP SCHEMA memory.work
DROP TABLE memory.work.u
DROP TABLE memory.work.w
DROP SCHEMA memory.nosuchschema
DROP SCHEMA IF EXISTS memory.nosuchschema
INSERT INTO tpch.tiny.nosuch VALUES (1)
MERGE INTO tpch.tiny.nosuch t USING (VALUES 1) AS s(x) ON t.x = s.x WHEN MATCHED THEN DELETE
