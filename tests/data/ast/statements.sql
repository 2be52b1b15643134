select 1
select a, b+1 as c from s.t x join u using (k) where a > 1 and f(b) order by 1
with c as (select * from t) select * from c
with recursive r(n) as (select 1 union all select n+1 from r where n < 10) select * from r
with recursive r(a,b) using key (a) as (select 1,2 union select a,b+1 from recurring.r where b<3) select * from r
with a as materialized (select 1), b as not materialized (select * from a) select * from b, a
select * from a union all select * from b union all select * from c
select * from a except all select * from b intersect select * from c order by 1 limit 3
select * from t union by name select * from u
select * from t, lateral (select t.a + u.b from u where u.k = t.k) l
select (select max(b) from u where u.k = t.k) from t
select * from t where a in (select b from u) and exists (select 1 from v) and c > any (select d from w) and e = all (select 1)
select * from t where a not in (1,2,3) and b in ('x')
select row_number() over (partition by a order by b desc nulls last), sum(x) filter (where y > 0) over (rows between 2 preceding and current row exclude ties), lag(x, 1, 0) over w, first_value(x ignore nulls) over w, ntile(4) over (order by a), nth_value(x,2) over w from t window w as (order by a range between interval 1 day preceding and unbounded following)
pivot t on year using sum(sales) as total group by country
pivot t on year in (2020, 2021) using sum(sales), count(*)
select * from (pivot t on year in (2020) using sum(sales))
select * from t pivot (sum(x) for y in (1,2) group by z)
unpivot t on jan, feb into name month value sales
select * from t unpivot include nulls (v for n in (a, b))
unpivot t on columns(* exclude (k)) into name n value v
select * from t natural join u
select * from t asof join u on t.k = u.k and t.ts >= u.ts
select * from t positional join u
select * from t semi join u using (k)
select * from t anti join u on t.k = u.k
select * from t left join u on true right join v on true full outer join w on t.a=w.a cross join z
values (1, 'a'), (2, 'b')
select * from (values (1, 'a'), (2, null)) v(x, y)
select * from range(10) r(i), generate_series(1, 3) with ordinality
select * from unnest([1,2,3]) u(x)
select unnest([1,2]), unnest({'a':1}, recursive := true)
select * from read_parquet('x.parquet', filename=true, hive_partitioning := false)
select * from 'file.parquet'
select list_transform([1,2], lambda x: x + 1), [x*2 for x in [1,2] if x > 1]
select list_transform([1,2], x -> x + 1), list_reduce([1,2], (a, b) -> a + b)
select columns(*), columns('a.*'), min(columns(* exclude (a))) from t
select columns(lambda c: c like 'a%') from t
select * exclude (a, t.b) replace (a+1 as c) rename (d as e) from t
select t.* exclude (a) from t
select * like 'a%' from t
select *columns(*) from t
select a, row_number() over () rn from t qualify rn = 1
select a, b, sum(c), grouping(a, b), grouping_id(a) from t group by grouping sets ((a), (b), ()), cube (a, b), rollup (c)
select a, sum(b) from t group by all having sum(b) > 1 order by all desc
select distinct on (a, b) a, c from t order by a, c
select distinct a from t
select * from t limit 10 percent offset 3
select * from t limit 10 offset 3
select * from t limit (select max(a) from u)
select * from t tablesample reservoir(20 rows) repeatable (42)
select * from t using sample 10 percent (bernoulli)
select * from t tablesample system(10%)
select string_agg(a, ',' order by b desc) filter (where c), count(distinct a), count(*) from t
select quantile_cont(a, [0.25, 0.5]), percentile_cont(0.5) within group (order by a), mode() within group (order by a) from t
select ?, ?+1
select $1, $2, $1
select $name, $other
select cast(a as integer), a::decimal(15,2), try_cast(a as date), a::varchar, a::struct(x integer, y varchar[]), a::map(varchar, int), a::int[3], a::enum('x','y'), a::union(n int, s varchar) from t
select a::mytype, a::myschema.mytype, a::timestamptz, a::varchar collate nocase, a::bit, a::blob, a::json, a::hugeint, a::uuid, a::time, a::interval, a::geometry, a::variant from t
select {'a': 1, 'b': [1,2]}, map {'x': 1}, [1, 'a', null], row(1, 2), (1, 2), struct_pack(x := 1, y := 'b'), map([1],[2])
from t select a where b > 1
from t
summarize t
summarize select * from t
describe t
describe s.t
describe select 1
show tables
show all tables
show databases
select * from (describe t)
select * from (summarize s.t)
select * from (show tables)
select * from t at (version => 3)
select * from s.t at (timestamp => timestamp '2020-01-01')
select * from c.s.t at (timestamp => now()) as x
select #1, #2 from t order by #1
select a from t order by 1 desc nulls first, b collate nocase
select 'a' collate nocase, a collate "de_DE.nfc" from t
select interval 3 day, interval '1 year 2 months', interval (a) hour, '2020-01-01'::date + interval 1 month
select ts at time zone 'UTC', timestamp '2020-01-01 00:00:00' at time zone 'Europe/Berlin' from t
select t from t
select t, t.a, t.a.b, (t.a).b, t['x'], x.y.z.w.v from t
select s.t.a, c.s.t.a, t.a from c.s.t
select * from query_table('t')
select * from query('select 1')
select current_user, session_user, user, current_date, current_timestamp, current_role, current_catalog, current_schema, localtime, localtimestamp, current_time
select current_user(), session_user(), user(), current_roles(), has_role('x'), claim('region'), current_schema(), getvariable('x')
select case when a then 1 else 2 end, case a when 1 then 'x' end, coalesce(a, b), nullif(a, b), ifnull(a, b), if(a, b, c), iff(a,b,c), greatest(a,b) from t
select a is null, a is not null, a is distinct from b, a is not distinct from b, not a, a and b or c, a between 1 and 2, a not between 1 and 2, -a, +a, ~a, a || b, a % b, a ** b, a ^ b, a // b, a / b, a << 1, a >> 1, a & 1, a | 1, a <> b, a != b, a == b from t
select a like 'x%', a not like 'x', a ilike 'y', a like 'x' escape '$', a similar to 'x', a ~ 'x', a !~ 'y', a glob 'z', a ~~ 'q', a ~* 'x', a ^@ 'p', a is true, a is not false, a is unknown from t
select a[1], a[1:2], a[1:3:2], a[:2], a[-1], a[:-:2], s.x, s['x'] from t
select extract(year from d), date_part('year', d), substring(s from 1 for 2), substring(s, 1, 2), trim(both 'x' from s), position('a' in s), overlay(s placing 'x' from 1), date_trunc('month', d), date '1995-01-01' - interval '90' day from t
select 1e10, 1.5, 123456789012345678901234567890, 1_000, 0x1F, 'it''s', e'a\n', $$dollar$$, true, false, null, x'ab', '\xAA'::blob, 9223372036854775808, -9223372036854775808, 170141183460469231731687303715884105727, 'nan'::float, 1.5::double
select main.lower('x'), system.main.lower('x'), "LOWER"('x'), lower('x')
select a.b.c.d.e.f from g
select x.lower() from t
select a->'$.x', a->>'$.y', a @> b, a <@ b, a && b from t
select exists(from t), array(select a from t), not exists (select 1)
select (select 1), (select 1) + 2 from (select 2) s, (select 3) as r(x)
select * from t, u, v where t.a = u.a
select * from (t join u on t.a = u.a) as j
select * from t as x(a, b, c)
select * from t x tablesample 10%
select "weird ""name""" from "My Table" as "T x"
with t as (select * from t) select * from t
with t as (select * from t), u as (with t as (select 1) select * from t) select * from u, t
with a as (select 1) (with a as (select 2) select * from a) union all select * from a
select * from t where a in (with c as (select 1) select * from c) and b in (select * from c)
with c as (select 1) select * from main.c
with recursive r as (select * from r) select * from r
with recursive r as (select 1 union all select * from (with r as (select 2) select * from r) x) select * from r
select default
select grouping_id() from t
select (1, 2) = (3, 4), (a, b) in ((1, 2), (3, 4)) from t
select a.* from (select 1) a
select count(*) filter (a > 1) from t
select try(1/0), error('x')
select * from t order by random()
select sum(distinct a order by b) from t
select list(a order by b)[1] from t
select * from glob('*')
select * from duckdb_tables()
select * from information_schema.tables
select * from pg_catalog.pg_class
select * from sqlite_master
select a := 1
select f(a := 1, b => 2)
select struct_extract(s, 'a'), struct_insert(s, x := 1), {a: 1}.a from t
select 1 from t where true group by () having true
table t
select * from t join lateral (select * from u where u.a = t.a) l on true
select * from t where (select a from u limit 1) = 3
select count() from t
select "a" from t group by 1, 2
select list_filter(l, lambda x, i: x > i and x > t.b) from t
select map_from_entries([('a', 1)]), unnest(l) from t
select * from a, (select * from b, (select * from c where c.x = a.x)) z
select (from t select count(*))
select extract(epoch from ts), epoch_ms(1), to_timestamp(1), strftime(d, '%Y'), make_date(2020,1,1) from t
select format('{:>10}', 'x'), printf('%10d', 1), repeat('x', 100), lpad('x', 1000000000, 'y')
select date_diff('day', a, b), datediff('day', a, b), age(a, b), last_day(a) from t
select json_extract(j, '$.a'), j::json from t
select variant_extract(v, 'a'), array_value(1,2), array_distance([1.0,2.0]::float[2], [1.0,2.0]::float[2]) from t
select export_state(sum(a)), finalize(sum(a) export_state) from t
select sum(a) export_state from t
select * from t order by a limit 5 percent
select * from t fetch first 3 rows only
select * from repeat(1, 3), repeat_row(1, 2, num_rows=3)
select * from json_each('[1]'), json_tree('{}')
select all a from t
select cast(a as 'integer') from t
select date '2020-01-01', time '10:00', timestamp '2020-01-01 00:00:00', timestamptz '2020-01-01 00:00:00+00', interval '1' year, integer '3', blob 'x', bit '101', decimal(5,2) '1.25'
select * from t1 join t2 on t1.a = t2.a join t3 using (b, c) where t1.x is not null group by 1 order by 2
select * exclude a from t
select columns(t.*) from t
select rename.* rename (a as b) from t as rename
select a b, c "d e" from t
select distinct a, b from t union select a, b from u order by a limit 1
((select 1) union (select 2)) limit 1
select * from ((select 1) union (select 2)) x
select * from (values (default)) t(x)
with x(a, b) as (values (1, 2)) select a, b from x
select lateral_alias + 1 as z, a as lateral_alias from t
with recursive r(a) as (select 1 union all select a + 1 from r where a < 5), q as (select * from r) select * from q
select * from t where x = current_user
select * from histogram_values('t', 'a')
from t pivot_longer
select s.t.a, c.s.t.b, t.c from c.s.t where s.t.a = 3 and exists (select 1 from u where u.x = s.t.a)
select s.t.a from s.t, v.t
select s.t.a from s.t where exists (select 1 from v as t where t.x = s.t.a)
select * exclude (s.t.a) from s.t
select user, current_user from t
select user from (select 1 as user) x
select user
select range(5), range(1000000000), range(a, b), range(1, a, 2), repeat('x', a), repeat('xy', 100000000), lpad(a, 5, 'x'), list_resize(l, n) from t
select format('{:>10}', a), printf('%5d', b) from t
select format('{:>99999999}', a)
select format(a, b) from t
select printf('%*d', 100, 1)
select regexp_extract(a, 'x+') from t
select regexp_extract(a, b) from t
select lower(a) || upper(b) from t where length(a) > 3 and a like 'x%'
select cast(a as unsigned) from t
select a::uinteger from t
select a::bigint from t
select a::varchar, try_cast(a as integer) from t
select a::decimal(15,2) from t
select a = 1.0000000000000000000000000000000000000 from t
select a = 1.25 from t
select a + interval 1 year from t
select date '1998-12-01' - interval '90' day
select 1/a from t
select a[1] from t
select read_text('x')
select * from read_text('x')
select * from json_execute_serialized_sql('x')
select getvariable('x'), 1
select current_setting('x')
select lwoer('x')
select nextval('s')
select stats(a) from t
select __moat_hash(a) from t
select a as __moat_c1 from t
select __moat_c1 from t
with __moat_x as (select 1) select * from __moat_x
select "__MOAT_c1" from t
select claim('region'), claim('none'), has_role('analyst'), has_role('boss'), current_roles(), session_user()
select has_role(a) from t
select 1; select 2
insert into t values (1)
select from from
select * from t where a = 1 and b > 'x' and 3 <= c and d between date '2020-01-01' and date '2020-02-01' and e in (1, 2) and f = g and lower(h) = 'x' and t.i = true and u.j = 2
select * from t left join u on t.a = u.a where t.b = 1 and c = 2
select * from t asof join u on t.k = u.k and t.ts >= u.ts where u.a = 1
select * from t anti join u on t.k = u.k where a = 1
select * from t tablesample 10% where a = 1
select * from t as x(p, q) where p = 1
select * from (select * from t) x where a = 1
select a.lower() from t
select s.t.a.lower() from s.t
select list_transform([1], lambda user: user + 1)
select list_aggregate(a, 'sum') from t
select list_aggregate(a, b) from t
select * from read_csv('a.csv', header := true, delim := ';', skip := 2)
select * from read_parquet(['a', 'b'])
select * from read_parquet(a) from t
select * from t, read_parquet(t.path)
select * from 'dir/file.parquet' where file.a = 1
select finalize(x) from t
select a collate nocase, b collate de from t
select sum(l_extendedprice * (1 - l_discount)) from lineitem
select a::geometry from t
select stddev(a) over (order by b) from t
select range(1) over () from t
select row_number() from t
select (select * from t where x = 1), (with t as (select 1) select * from t)
with a as (select * from b), b as (select * from a) select * from a, b
with recursive r as (select 1 as x union all select x + 1 from R where x < 5) select * from r
with recursive r as (select 1 from r union all select 2) select * from r
select * from recurring.r
with r as (select 1) select * from recurring.r
with t as (select 1) select * from c.main.t
select a + 1 > 2
select region = claim('region') and has_role('analyst') and owner = current_user
select user_name
select sum(a)
select (select 1)
select a, b
select a from t
select *
select $1
select row_number() over ()
select unnest([1])
select __moat_redact(a, 4)
select nope
select t.a || t2.b
select a as x
select list_filter([1], lambda a: a > b)
select substring(a, b) from t
select case when a = 1 then substring('x', 99999999999) end from t
