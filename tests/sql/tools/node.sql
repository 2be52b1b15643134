-- node-postgres
SELECT table_name FROM information_schema.tables WHERE table_schema = 'main';

-- node-postgres
SELECT oid, typname, typarray FROM pg_type WHERE typname = ANY('{int4,text}');

