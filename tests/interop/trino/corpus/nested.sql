-- Arrays, maps, rows, JSON and functions of functions.
SELECT ARRAY[1, 2, 3][2]
SELECT ARRAY[1, 2, 3][4]
SELECT ARRAY[1, 2, 3][0]
SELECT ARRAY[1, 2, 3][-1]
SELECT element_at(ARRAY[1, 2, 3], -1), element_at(ARRAY[1, 2, 3], 5)
SELECT cardinality(ARRAY[1, 2, 3]), cardinality(ARRAY[]), cardinality(MAP(ARRAY['a'], ARRAY[1]))
SELECT contains(ARRAY[1, 2], 2), contains(ARRAY[1, NULL], 3), contains(ARRAY['a'], 'b')
SELECT array_distinct(ARRAY[1, 2, 2, NULL, NULL]), array_sort(ARRAY[3, 1, NULL, 2]), array_sort(ARRAY['b', 'a'])
SELECT array_sort(ARRAY[3, 1, 2], (x, y) -> IF(x < y, 1, IF(x = y, 0, -1)))
SELECT array_max(ARRAY[1, 5, 3]), array_min(ARRAY[1, 5, 3]), array_max(ARRAY[1, NULL]), array_max(ARRAY[])
SELECT array_position(ARRAY['a', 'b'], 'b'), array_position(ARRAY['a'], 'z'), array_remove(ARRAY[1, 2, 1], 1)
SELECT array_union(ARRAY[1, 2], ARRAY[2, 3]), array_intersect(ARRAY[1, 2], ARRAY[2, 3]), array_except(ARRAY[1, 2], ARRAY[2, 3])
SELECT arrays_overlap(ARRAY[1, 2], ARRAY[2]), arrays_overlap(ARRAY[1], ARRAY[NULL])
SELECT array_join(ARRAY[1, NULL, 3], '-'), flatten(ARRAY[ARRAY[1, 2], ARRAY[3]])
SELECT ARRAY[1] || ARRAY[2], ARRAY[1] || 2, 0 || ARRAY[1], concat(ARRAY[1], ARRAY[2], ARRAY[3])
SELECT reverse(ARRAY[1, 2, 3]), slice(ARRAY[1, 2, 3, 4], 2, 2), slice(ARRAY[1, 2, 3, 4], -2, 2), trim_array(ARRAY[1, 2, 3], 1)
SELECT slice(ARRAY[1, 2], 0, 1)
SELECT repeat('a', 3), repeat(1, 2)
SELECT sequence(1, 5), sequence(5, 1), sequence(1, 10, 3), sequence(5, 1, -2)
SELECT shuffle(ARRAY[1]), combinations(ARRAY['a', 'b', 'c'], 2), ngrams(ARRAY['a', 'b', 'c'], 2)
SELECT transform(ARRAY[1, 2, 3], x -> x * 2), filter(ARRAY[1, 2, 3], x -> x > 1), reduce(ARRAY[1, 2, 3], 0, (s, x) -> s + x, s -> s)
SELECT any_match(ARRAY[1, 2], x -> x = 2), all_match(ARRAY[1, 2], x -> x > 0), none_match(ARRAY[1, 2], x -> x > 5)
SELECT any_match(ARRAY[1, NULL], x -> x = 2), all_match(ARRAY[]  , x -> false), none_match(ARRAY[NULL, 1], x -> x = 2)
SELECT zip(ARRAY[1, 2], ARRAY['a', 'b']), zip_with(ARRAY[1, 2], ARRAY[3, 4], (x, y) -> x + y)
SELECT zip(ARRAY[1, 2], ARRAY['a'])
SELECT array_histogram(ARRAY['a', 'b', 'a'])
SELECT ARRAY[1, 2] = ARRAY[1, 2], ARRAY[1, 2] < ARRAY[1, 3], ARRAY[1] <> ARRAY[2]
SELECT ARRAY[1, NULL] = ARRAY[1, NULL], ARRAY[1, NULL] IS NOT DISTINCT FROM ARRAY[1, NULL]
SELECT ARRAY[1, 'a']
SELECT MAP(ARRAY['a', 'b'], ARRAY[1, 2])['a']
SELECT MAP(ARRAY['a', 'b'], ARRAY[1, 2])['z']
SELECT element_at(MAP(ARRAY['a'], ARRAY[1]), 'a'), element_at(MAP(ARRAY['a'], ARRAY[1]), 'z')
SELECT map_keys(MAP(ARRAY['a', 'b'], ARRAY[1, 2])), map_values(MAP(ARRAY['a', 'b'], ARRAY[1, 2])), map_entries(MAP(ARRAY[1, 2], ARRAY['x', 'y']))
SELECT map_from_entries(ARRAY[ROW(1, 'x'), ROW(2, 'y')]), map_concat(MAP(ARRAY[1], ARRAY['a']), MAP(ARRAY[1, 2], ARRAY['b', 'c']))
SELECT map_filter(MAP(ARRAY['a', 'b'], ARRAY[1, 2]), (k, v) -> v > 1), transform_values(MAP(ARRAY['a'], ARRAY[1]), (k, v) -> v + 1), transform_keys(MAP(ARRAY['a'], ARRAY[1]), (k, v) -> upper(k))
SELECT map_zip_with(MAP(ARRAY['a'], ARRAY[1]), MAP(ARRAY['a'], ARRAY[2]), (k, v1, v2) -> v1 + v2)
SELECT MAP(ARRAY['a', 'a'], ARRAY[1, 2])
SELECT MAP(ARRAY['a', NULL], ARRAY[1, 2])
SELECT MAP(ARRAY['a'], ARRAY[1, 2])
SELECT MAP(ARRAY['a'], ARRAY[1]) = MAP(ARRAY['a'], ARRAY[1])
SELECT map_agg(k, v) FROM (VALUES ('a', 1), ('b', 2)) AS t(k, v)
SELECT multimap_agg(k, v) FROM (VALUES ('a', 1), ('a', 2)) AS t(k, v)
SELECT map_union(m) FROM (VALUES MAP(ARRAY['a'], ARRAY[1]), MAP(ARRAY['b'], ARRAY[2])) AS t(m)
SELECT histogram(x) FROM (VALUES 'a', 'b', 'a') AS t(x)
SELECT ROW(1, 'a')[1], ROW(1, 'a')[2]
SELECT r.x, r.y FROM (VALUES CAST(ROW(1, 'a') AS row(x integer, y varchar))) AS t(r)
SELECT r.* FROM (VALUES CAST(ROW(1, 'a') AS row(x integer, y varchar))) AS t(r)
SELECT ROW(1, 2) = ROW(1, 2), ROW(1, 2) < ROW(1, 3), ROW(1, NULL) = ROW(1, NULL)
SELECT (1, 2) IN ((1, 2), (3, 4))
SELECT ROW(1 AS a, 2 AS b)
SELECT json_extract('{"a": {"b": [1, 2]}}', '$.a.b'), json_extract('{"a": 1}', '$.z'), json_extract('[1, 2]', '$[1]')
SELECT json_extract_scalar('{"a": "x", "b": 1, "c": true, "d": null}', '$.a'), json_extract_scalar('{"b": 1}', '$.b'), json_extract_scalar('{"c": true}', '$.c'), json_extract_scalar('{"d": null}', '$.d'), json_extract_scalar('{"e": {}}', '$.e')
SELECT json_parse('{"b": 1, "a": [1, 2]}'), json_format(JSON '{"a": 1}'), json_format(json_parse('[1, 2 , 3]'))
SELECT json_parse('{broken')
SELECT json_array_length('[1, 2, 3]'), json_array_length(JSON '[]'), json_array_length('{}')
SELECT json_array_get('[1, "a"]', 1), json_array_contains('[1, 2]', 2), json_size('{"a": [1, 2]}', '$.a'), is_json_scalar('1'), is_json_scalar('[1]')
SELECT json_value('{"a": 5}', 'lax $.a'), json_query('{"a": [1, 2]}', 'lax $.a'), json_exists('{"a": 1}', 'lax $.a')
SELECT json_value('{"a": 5}', 'lax $.a' RETURNING bigint), json_value('{}', 'lax $.a' DEFAULT 'x' ON EMPTY)
SELECT json_object('a' : 1, 'b' : 'x'), json_object(KEY 'k' VALUE true), json_array(1, 'a', NULL ABSENT ON NULL)
SELECT json_object('a' VALUE NULL ABSENT ON NULL)
SELECT '{"a": 1}' IS JSON, 'x' IS JSON, '[1]' IS JSON ARRAY
SELECT CAST(json_parse('{"a": [1, 2]}') AS map(varchar, array(integer)))
SELECT JSON '1' = JSON '1'
SELECT x FROM UNNEST(ARRAY[1, 2, 3]) AS t(x)
SELECT x, n FROM UNNEST(ARRAY['a', 'b']) WITH ORDINALITY AS t(x, n)
SELECT k, v FROM UNNEST(MAP(ARRAY['a', 'b'], ARRAY[1, 2])) AS t(k, v)
SELECT a, b FROM UNNEST(ARRAY[1, 2, 3], ARRAY['x', 'y']) AS t(a, b)
SELECT a, b, n FROM UNNEST(ARRAY[1, 2], ARRAY['x', 'y']) WITH ORDINALITY AS t(a, b, n)
SELECT id, x FROM (VALUES (1, ARRAY[10, 20]), (2, ARRAY[30])) AS t(id, xs) CROSS JOIN UNNEST(xs) AS u(x) ORDER BY 1, 2
SELECT id, x, n FROM (VALUES (1, ARRAY[10, 20]), (2, ARRAY[30])) AS t(id, xs) CROSS JOIN UNNEST(xs) WITH ORDINALITY AS u(x, n) ORDER BY 1, 3
SELECT id, x FROM (VALUES (1, ARRAY[10, 20]), (2, ARRAY[])) AS t(id, xs) LEFT JOIN UNNEST(xs) AS u(x) ON true ORDER BY 1, 2
SELECT id, k, v FROM (VALUES (1, MAP(ARRAY['a'], ARRAY[5]))) AS t(id, m) CROSS JOIN UNNEST(m) AS u(k, v)
SELECT a, b FROM UNNEST(ARRAY[ROW(1, 'x'), ROW(2, 'y')]) AS t(a, b)
SELECT * FROM UNNEST(ARRAY[1, 2])
SELECT array_agg(x ORDER BY x DESC) FROM UNNEST(ARRAY[1, 3, 2]) AS t(x)
SELECT sum(x) FROM UNNEST(sequence(1, 100)) AS t(x)
SELECT * FROM UNNEST(sequence(1, 3)) AS t(a) CROSS JOIN UNNEST(ARRAY['x', 'y']) AS u(b) ORDER BY a, b
SELECT transform(ARRAY[1, NULL, 3], x -> coalesce(x, 0)), transform(ARRAY['a'], x -> x || '!')
SELECT transform(a, x -> x + b) FROM (VALUES (ARRAY[1, 2], 10)) AS t(a, b)
SELECT filter(split('a,,b', ','), s -> s <> '')
SELECT apply(5, x -> x + 1)
SELECT try(element_at(ARRAY[1], 0))
SELECT array_agg(x) FILTER (WHERE x > 1) FROM (VALUES 1, 2, 3) AS t(x)
SELECT cardinality(array_agg(n_name)) FROM tpch.tiny.nation
SELECT euclidean_distance(ARRAY[1e0, 2e0], ARRAY[4e0, 6e0]), dot_product(ARRAY[1e0, 2e0], ARRAY[3e0, 4e0])
SELECT array_first(ARRAY[1, 2]), array_last(ARRAY[1, 2])
