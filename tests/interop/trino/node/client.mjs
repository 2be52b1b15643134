// Trino's client for Node against a server: node client.mjs PORT CERTIFICATE PASSWORD; ends with "ok" if all holds.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { BasicAuth, Trino } from 'trino-client';

const [port, certificate, password] = process.argv.slice(2);
const trino = Trino.create({
    server: `https://127.0.0.1:${port}`, catalog: 'moat', schema: 'main', auth: new BasicAuth('amelia', password), ssl: { ca: readFileSync(certificate) },
});

async function all(query) {
    let columns = null;
    const rows = [];
    for await (const result of await trino.query(query)) {
        if (result.error) throw Object.assign(new Error(result.error.message), result.error);
        columns = result.columns ?? columns;
        for (const row of result.data ?? []) rows.push(row);
    }
    return { columns, rows };
}

const { columns, rows } = await all(`SELECT x, 'é"\\' AS t, DECIMAL '1.50' AS d, ARRAY[1, NULL] AS l, CAST(ROW(1, 'a') AS row(i bigint, s varchar)) AS r, MAP(ARRAY['k'], ARRAY[2]) AS m FROM v`);
assert.deepEqual(rows, [[1, 'é"\\', '1.50', [1, null], [1, 'a'], { k: 2 }]]);
assert.deepEqual(columns.map((c) => c.name), ['x', 't', 'd', 'l', 'r', 'm']);
assert.equal(columns[2].type, 'decimal(3, 2)');

const many = await all("SELECT i FROM range(200000) r(i)");
assert.equal(many.rows.length, 200000);
assert.ok(many.rows.every(([i], n) => i === n));

await assert.rejects(all('SELECT nope FROM v'), { errorName: 'COLUMN_NOT_FOUND', errorCode: 47 });
const limited = { query: 'SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3', session: { query_max_run_time: '300ms' } };
await assert.rejects(all(limited), { errorName: 'EXCEEDED_TIME_LIMIT' });

// What it says of a query, and ending one, by its id alone.
const running = await trino.query('SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3');
const { id } = running.iter.queryResult; // its iterator waits for rows
const info = await trino.queryInfo(id);
assert.equal(info.queryId, id);
assert.ok(['QUEUED', 'RUNNING'].includes(info.state), info.state);
assert.match(info.query, /range\(1000000000000\)/);
await trino.cancel(id);
await assert.rejects(trino.queryInfo(id), (error) => error.response.status === 410);
await assert.rejects(running.next(), (error) => error.response.status === 404);
await assert.rejects(trino.queryInfo('0'.repeat(32)), (error) => error.response.status === 410);
console.log('ok');
