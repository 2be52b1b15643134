-- Text, patterns and bytes.
SELECT length('héllo'), length(''), length(NULL)
SELECT upper('straße'), lower('ÀÉ')
SELECT concat('a', 'b', 'c'), concat('a', NULL)
SELECT 'a' || NULL
SELECT concat_ws('-', 'a', NULL, 'b')
SELECT substr('hello', 2), substr('hello', 2, 3), substr('hello', -3), substr('hello', 0)
SELECT substr('hello', -3, 2), substr('hello', 10), substr('hello', 2, 0)
SELECT substring('hello' FROM 2 FOR 2), substring('hello', 3)
SELECT trim('  a '), ltrim('  a '), rtrim('  a ')
SELECT trim(BOTH 'x' FROM 'xxaxx'), trim(LEADING 'x' FROM 'xax'), trim(TRAILING FROM 'a  ')
SELECT trim('xaxb', 'bx'), ltrim('xxa', 'x'), rtrim('axx', 'x')
SELECT lpad('a', 3, 'xy'), rpad('a', 4, 'xy'), lpad('hello', 2, 'x')
SELECT replace('banana', 'an', 'o'), replace('banana', 'an')
SELECT reverse('héllo')
SELECT repeat('ab', 3)
SELECT strpos('hello', 'l'), strpos('hello', 'z'), strpos('hello', ''), position('l' IN 'hello')
SELECT strpos('hello hello', 'l', 2), strpos('hello hello', 'o', -1)
SELECT split('a,b,c', ','), split('a,b,c', ',', 2), split('', ',')
SELECT split_part('a,b,c', ',', 2), split_part('a,b,c', ',', 5)
SELECT split_part('a,b', ',', 0)
SELECT split_to_map('a=1,b=2', ',', '=')
SELECT split_to_multimap('a=1,a=2', ',', '=')
SELECT chr(65), codepoint('A')
SELECT chr(-1)
SELECT starts_with('hello', 'he'), ends_with('hello', 'lo')
SELECT levenshtein_distance('kitten', 'sitting'), hamming_distance('abc', 'abd')
SELECT hamming_distance('ab', 'abc')
SELECT soundex('Miller'), soundex('Tymczak')
SELECT translate('abcd', 'ac', 'xy'), translate('abc', 'ab', 'x')
SELECT normalize('é', NFD) = 'é', length(normalize('é', NFD))
SELECT luhn_check('79927398713')
SELECT 'abc' LIKE 'a%', 'abc' LIKE '_b_', 'abc' LIKE 'b', 'a%c' LIKE 'a#%c' ESCAPE '#'
SELECT 'abc' NOT LIKE 'a%', NULL LIKE 'a', 'ABC' LIKE 'abc'
SELECT 'a\c' LIKE 'a\c', 'a_c' LIKE 'a\_c' ESCAPE '\'
SELECT 'abc' LIKE 'a#' ESCAPE '#'
SELECT regexp_like('1a 2b 14m', '\d+b'), regexp_like('abc', '^b')
SELECT regexp_extract('1a 2b 14m', '\d+'), regexp_extract('1a 2b 14m', '(\d+)([a-z]+)', 2), regexp_extract('x', '\d')
SELECT regexp_extract_all('1a 2b 14m', '\d+'), regexp_extract_all('1a 2b 14m', '(\d+)([a-z]+)', 2)
SELECT regexp_replace('1a 2b 14m', '\d+[ab] '), regexp_replace('1a 2b', '(\d+)([ab])', '3c$2'), regexp_replace('abc', '(b)', '$1$1')
SELECT regexp_replace('new york', '(\w)(\w*)', x -> upper(x[1]) || lower(x[2]))
SELECT regexp_split('1a 2b 14m', '\s*[a-z]+\s*'), regexp_count('1a 2b 14m', '\s*[a-z]+\s*'), regexp_position('I have 23 apples', '\d')
SELECT regexp_like('abc', '(')
SELECT regexp_like('ABC', '(?i)abc'), regexp_like('a1', '\w\d'), regexp_like('foobar', 'foo(?=bar)')
SELECT to_utf8('é'), from_utf8(X'c3a9'), from_utf8(X'ff'), from_utf8(X'ff', '?')
SELECT to_hex(X'00ff'), from_hex('00FF'), to_base64(X'00ff'), from_base64('AP8=')
SELECT from_hex('zz')
SELECT to_base64url(X'fbff'), from_base64url('-_8=')
SELECT md5(to_utf8('a')), sha1(to_utf8('a')), sha256(to_utf8('a'))
SELECT sha512(to_utf8('a')), crc32(to_utf8('a')), xxhash64(to_utf8('a'))
SELECT to_hex(md5(to_utf8('hello')))
SELECT length(X'0102'), X'01' || X'02', substr(X'010203', 2, 1), reverse(X'0102')
SELECT X'01' = X'01', X'01' < X'02'
SELECT to_big_endian_32(258), from_big_endian_32(X'00000102'), to_big_endian_64(1)
SELECT url_encode('a b&c'), url_decode('a+b%26c')
SELECT url_extract_host('https://example.com:8080/p?q=1#f'), url_extract_port('https://example.com:8080/p'), url_extract_path('https://example.com/p'), url_extract_query('https://example.com/p?q=1'), url_extract_parameter('https://example.com/p?q=1', 'q')
SELECT format('%s has %d', 'a', 5), format('%05d', 42), format('%.2f', 1.5e0), format('%,d', 1234567)
SELECT format('%s %s', true, DATE '2024-01-01'), format('%x', 255), format('%-5s|', 'a'), format('%%')
SELECT 'a' < 'b', 'A' < 'a', 'a' < 'B', 'é' > 'z'
SELECT 'abc' = 'abc ', 'a' = 'A'
SELECT max(x), min(x) FROM (VALUES 'b', 'a', 'C') AS t(x)
SELECT word_stem('running')
SELECT length(CAST('a' AS char(5))), CAST('a' AS char(5)) || '|'
SELECT array_join(ARRAY['a', NULL, 'b'], ','), array_join(ARRAY['a', NULL, 'b'], ',', 'x'), array_join(ARRAY[1, 2], '-')
SELECT listagg(x, ',') WITHIN GROUP (ORDER BY x) FROM (VALUES 'b', 'a', 'c') AS t(x)
SELECT listagg(x) WITHIN GROUP (ORDER BY x DESC) FROM (VALUES 'b', 'a', NULL) AS t(x)
SELECT lower(n_name) FROM tpch.tiny.nation WHERE n_name LIKE 'A%' ORDER BY n_name
SELECT n_name FROM tpch.tiny.nation WHERE length(n_name) > 10 ORDER BY 1
SELECT upper(1)
SELECT length(1)
SELECT 'a' + 1
SELECT 'a' + 'b'
SELECT 1 || 2
SELECT '1' = 1
SELECT substr('a')
SELECT nosuchfunction('a')
