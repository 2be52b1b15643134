-- SHOW, DESCRIBE and information_schema, of the catalog tpch.
SHOW SCHEMAS FROM tpch LIKE 'tiny'
SHOW TABLES FROM tpch.tiny
SHOW TABLES FROM tpch.tiny LIKE '%art%'
SHOW TABLES IN tpch.tiny LIKE 'part#_%' ESCAPE '#'
SHOW TABLES FROM tpch.nosuchschema
SHOW TABLES FROM nosuchcatalog.tiny
SHOW SCHEMAS FROM nosuchcatalog
SHOW COLUMNS FROM tpch.tiny.nation
SHOW COLUMNS FROM tpch.tiny.lineitem LIKE 'l_ship%'
SHOW COLUMNS FROM tpch.tiny.nosuchtable
DESCRIBE tpch.tiny.orders
DESC tpch.tiny.region
DESCRIBE tpch.tiny.nosuchtable
SHOW CATALOGS LIKE 'tpch'
SHOW CATALOGS LIKE 'nosuch%'
USE tpch.tiny
SHOW TABLES
SHOW TABLES LIKE 'n%'
DESCRIBE nation
SELECT table_name FROM information_schema.tables WHERE table_schema = 'tiny' ORDER BY table_name
SELECT table_catalog, table_schema, table_name, table_type FROM tpch.information_schema.tables WHERE table_schema = 'tiny' AND table_name = 'nation'
SELECT column_name, ordinal_position, is_nullable, data_type FROM tpch.information_schema.columns WHERE table_schema = 'tiny' AND table_name = 'region' ORDER BY ordinal_position
SELECT * FROM tpch.information_schema.columns WHERE table_schema = 'tiny' AND table_name = 'nation' ORDER BY ordinal_position
SELECT schema_name FROM tpch.information_schema.schemata WHERE schema_name = 'tiny'
SELECT * FROM tpch.information_schema.schemata WHERE schema_name = 'tiny'
SELECT count(*) FROM tpch.information_schema.views
SELECT * FROM tpch.information_schema.nosuch
SELECT table_cat FROM system.jdbc.catalogs WHERE table_cat = 'tpch'
SELECT table_cat, table_schem, table_name, table_type, remarks FROM system.jdbc.tables WHERE table_cat = 'tpch' AND table_schem = 'tiny' ORDER BY table_name
SELECT table_name, column_name, data_type, type_name, column_size, decimal_digits, num_prec_radix, nullable, ordinal_position, is_nullable FROM system.jdbc.columns WHERE table_cat = 'tpch' AND table_schem = 'tiny' AND table_name = 'orders' ORDER BY ordinal_position
SELECT table_schem, table_catalog FROM system.jdbc.schemas WHERE table_catalog = 'tpch' AND table_schem = 'tiny'
SELECT * FROM system.jdbc.table_types ORDER BY 1
SELECT type_name, data_type, precision FROM system.jdbc.types WHERE type_name IN ('bigint', 'varchar', 'date') ORDER BY type_name
SELECT catalog_name FROM system.metadata.catalogs WHERE catalog_name = 'tpch'
SELECT catalog_name, schema_name, table_name, comment FROM system.metadata.table_comments WHERE catalog_name = 'tpch' AND schema_name = 'tiny' AND table_name = 'nation'
SELECT coordinator, state FROM system.runtime.nodes
SELECT count(*) > 0 FROM system.runtime.queries
SHOW CREATE TABLE tpch.tiny.region
SHOW CREATE SCHEMA tpch.tiny
SHOW FUNCTIONS LIKE 'approx_distinct'
SHOW SESSION LIKE 'query_max_run_time'
SHOW ROLES
SHOW CURRENT ROLES
SHOW GRANTS ON TABLE tpch.tiny.nation
SHOW STATS FOR tpch.tiny.region
EXPLAIN SELECT 1
EXPLAIN (TYPE VALIDATE) SELECT 1
EXPLAIN (TYPE VALIDATE) SELECT nosuch
EXPLAIN (TYPE IO, FORMAT JSON) SELECT * FROM tpch.tiny.region
