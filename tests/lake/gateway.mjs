// In front of a real catalog: lets in who shows a token of the issuer, as the proxy before a catalog that knows no tokens of its
// own would; writes down who asked what; and can refuse, fail and change answers as a test tells it to.
//
//   node gateway.mjs CATALOG ISSUER AUDIENCE [PEOPLE [PORT]]    one JSON command a line on standard input, one line of answer each
//
// PEOPLE: who they are for a catalog with keys of its own, {"bob": ["id", "secret"]}; "same" passes their own tokens on; null.
//
//   {"deny": {"bob": ["table", ...]}}   403 for what has the text in its path
//   {"hide": {"bob": [...]}}            404 likewise
//   {"fault": "hang" | "drop" | "503" | "429" | "401" | "garbage" | "truncate" | "html" | null, "times": N, "on": "^POST .*/tables/"}
//            "lose" and "lose500": the catalog is asked, and its answer is kept back, for "delay_lost" milliseconds
//   {"restrict": {"bob": {"TABLE": {...}}}}    read-restrictions for a table
//   {"credentials": {"bob": [...]}}     storage-credentials, in the place of what was vended
//   {"lend": {"bob": {"seconds": 60}}}  what was vended is said to live so long
//   {"delay": 500}                      milliseconds before a table is given
//   {"endpoint": "http://..."}          where the store is said to be
//   {"endpoints": ["POST ..."]}         which the catalog lists too
//   {"secrets": true}                   all that was ever lent
//   {"log": true}                       what was asked since the last time
//   {"file": "PATH"}                    which is written there too, a line each, from now on
import { appendFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { createInterface } from 'node:readline';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [catalog, issuer, audience, ...rest] = process.argv.slice(2);
const people = rest.length ? JSON.parse(rest[0]) : null;
const tokens = {};
let keys;
let log = [];
const secrets = new Set();
let file = null;
let endpoint = null;
let rules = { deny: {}, hide: {}, restrict: {}, credentials: {}, lend: {}, overrides: {} };
let fault = { kind: null, times: 0, on: /./ };
let delay = 0;
let keptBack = 0;
let more = null;
const usual = ['GET namespaces', 'POST namespaces', 'GET namespaces/{namespace}', 'DELETE namespaces/{namespace}', 'POST namespaces/{namespace}/properties',
    'GET namespaces/{namespace}/tables', 'POST namespaces/{namespace}/tables', 'GET namespaces/{namespace}/tables/{table}',
    'POST namespaces/{namespace}/tables/{table}', 'DELETE namespaces/{namespace}/tables/{table}', 'POST tables/rename',
    'POST namespaces/{namespace}/register'].map((one) => one.replace(' ', ' /v1/{prefix}/'));

async function personOf(request) {
    const header = request.headers.authorization ?? '';
    if (!header.startsWith('Bearer ')) return null;
    if (!keys) {
        const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
        keys = createRemoteJWKSet(new URL((await answer.json()).jwks_uri));
    }
    try {
        const { payload } = await jwtVerify(header.slice(7), keys, { issuer, audience: audience.split(',') });
        return { name: payload.preferred_username ?? payload.sub, audience: payload.aud };
    } catch {
        return null;
    }
}

async function innerToken(name, given) {
    if (!people) return null;
    if (people === 'same') return given;
    if (!people[name]) return undefined;
    if (!tokens[name]) {
        const [client_id, client_secret] = people[name];
        const answer = await fetch(`${catalog}/v1/oauth/tokens`, { method: 'POST',
            body: new URLSearchParams({ grant_type: 'client_credentials', client_id, client_secret }) });
        tokens[name] = (await answer.json()).access_token;
    }
    return `Bearer ${tokens[name]}`;
}

function fail(response, status, type, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { message: `no: ${type}`, type, code: status } }));
}

function misbehave(request, response) {
    const kind = fault.times > 0 && fault.on.test(`${request.method} ${request.url}`) ? fault.kind : null;
    if (!kind || kind.startsWith('lose')) return false;
    fault.times--;
    if (kind === 'hang') return true;
    if (kind === 'drop') request.socket.destroy();
    else if (kind === '503') fail(response, 503, 'ServiceUnavailableException', { 'retry-after': '1' });
    else if (kind === '500') fail(response, 500, 'InternalServerError');
    else if (kind === '429') fail(response, 429, 'TooManyRequestsException', { 'retry-after': '60' });
    else if (kind === '400') fail(response, 400, 'BadRequestException');
    else if (kind === '403') fail(response, 403, 'ForbiddenException');
    else if (kind === '404') fail(response, 404, 'NoSuchTableException');
    else if (kind === '409') fail(response, 409, 'CommitFailedException');
    else if (kind === '401') fail(response, 401, 'NotAuthorizedException');
    else if (kind === '419') fail(response, 419, 'AuthenticationTimeoutException');
    else if (kind === 'garbage') response.end('{"metadata": {"format-version": 2, [[[');
    else if (kind === 'html') response.end('<html>Sign in</html>');
    else if (kind === 'truncate') { response.writeHead(200, { 'content-length': '100000' }); response.write('{"meta'); setTimeout(() => request.socket.destroy(), 50); }
    return true;
}

// Every place of an answer that holds keys of the store.
const lent = (answer) => [answer.config, ...(answer['storage-credentials'] ?? []).map((one) => one.config)]
    .filter((config) => config?.['s3.access-key-id']);

// How the store's log calls who uses them: the key's id; the session's too, where its token says it.
function idsOf(config) {
    const ids = [config['s3.access-key-id']];
    try {
        ids.push(JSON.parse(Buffer.from(config['s3.session-token'].split('.')[1], 'base64url')).sub);
    } catch { /* not of that form */ }
    return ids.filter((id) => id);
}

// Numbers of snapshots are larger than those that JavaScript keeps to the digit.
const parse = (text) => JSON.parse(text.replace(/([:[,]\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"@number@$2"'));
const write = (answer) => JSON.stringify(answer).replace(/"@number@(-?\d+)"/g, '$1');

function change(body, who, path, line) {
    if (path.endsWith('/v1/config')) {
        const answer = JSON.parse(body);
        if (more) answer.endpoints = [...(answer.endpoints ?? usual), ...more];
        answer.overrides = { ...answer.overrides, ...rules.overrides };
        return JSON.stringify(answer);
    }
    if (!/\/(tables|views)(\/[^/]+(\/credentials)?)?$/.test(path)) return body;
    const restrict = Object.entries(rules.restrict[who] ?? {}).find(([table]) => path.endsWith(`/tables/${table}`));
    const credentials = rules.credentials[who];
    const lend = rules.lend[who];
    const answer = parse(body);
    if (restrict) answer['read-restrictions'] = restrict[1];
    if (credentials) Object.assign(answer, { 'storage-credentials': credentials, config: {} });
    if (lend) for (const config of lent(answer)) config['s3.session-token-expires-at-ms'] = `${Date.now() + lend.seconds * 1000}`;
    if (endpoint) for (const config of lent(answer)) config['s3.endpoint'] = endpoint;
    line.lent = lent(answer).flatMap(idsOf);
    for (const config of lent(answer)) for (const key of ['s3.secret-access-key', 's3.session-token']) if (config[key]) secrets.add(config[key]);
    return restrict || credentials || lend || endpoint ? write(answer) : body;
}

const server = createServer(async (request, response) => {
    const who = await personOf(request);
    const path = decodeURIComponent(request.url.split('?')[0]);
    const line = { at: Date.now(), who: who?.name ?? null, audience: who?.audience ?? null, method: request.method, path, query: request.url.split('?')[1] ?? '',
        id: request.headers['x-request-id'] ?? null, delegation: request.headers['x-iceberg-access-delegation'] ?? null,
        agent: request.headers['user-agent'] ?? null };
    const isReport = path.endsWith('/metrics'); // told once it is answered
    if (!isReport) log.push(line);
    if (isReport) {
        const parts = [];
        request.on('data', (part) => parts.push(part)).on('end', () => { line.report = Buffer.concat(parts).toString(); });
    }
    response.on('finish', () => {
        line.status ??= response.statusCode;
        if (isReport) log.push(line);
        if (file) appendFileSync(file, JSON.stringify({ time: new Date().toISOString(), ...line }) + '\n');
    });
    const is = (rule) => who && (rules[rule][who.name] ?? []).some((text) => path.includes(text));
    if (misbehave(request, response)) return;
    if (!who) return fail(response, 401, 'NotAuthorizedException');
    if (is('deny')) return fail(response, 403, 'ForbiddenException');
    if (is('hide')) return fail(response, 404, 'NoSuchTableException');
    if (delay && path.includes('/tables/')) await new Promise((resume) => setTimeout(resume, delay));
    const { host, authorization, 'accept-encoding': coding, ...headers } = request.headers;
    const own = await innerToken(who.name, authorization);
    if (people === 'same') headers.host = host; // that it calls itself by our address
    if (own === undefined) return fail(response, 401, 'NotAuthorizedException');
    if (own) headers.authorization = own;
    const inner = ask(`${catalog}${request.url}`, { method: request.method, headers }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => {
            line.status = answer.statusCode;
            let body = Buffer.concat(parts);
            const loses = fault.times > 0 && fault.kind?.startsWith('lose') && fault.on.test(`${request.method} ${request.url}`);
            if (loses) {
                fault.times--;
                line.lost = true;
                if (fault.kind === 'lose500') return fail(response, 500, 'InternalServerError');
                return setTimeout(() => request.socket.destroy(), keptBack);
            }
            if (answer.statusCode === 200 && answer.headers['content-type']?.includes('json')) body = Buffer.from(change(body.toString(), who.name, path, line));
            const { 'content-length': length, 'transfer-encoding': transfer, ...rest } = answer.headers;
            response.writeHead(answer.statusCode, { ...rest, 'content-length': body.length });
            response.end(body);
        });
    });
    inner.on('error', () => fail(response, 502, 'BadGateway'));
    request.pipe(inner);
});
server.listen(Number(rest[1] ?? 0), '127.0.0.1', () => console.log(server.address().port));

createInterface({ input: process.stdin }).on('line', (text) => {
    const command = JSON.parse(text);
    let answer = {};
    for (const rule of Object.keys(rules)) if (rule in command) rules[rule] = command[rule];
    if ('fault' in command) fault = { kind: command.fault, times: command.times ?? 1e9, on: new RegExp(command.on ?? '.') };
    if ('endpoint' in command) endpoint = command.endpoint;
    if ('file' in command) file = command.file;
    if ('endpoints' in command) more = command.endpoints;
    if ('delay' in command) delay = command.delay;
    if ('fault' in command) keptBack = command.delay_lost ?? 0;
    if (command.secrets) answer = [...secrets];
    if (command.log) { answer = log; log = []; }
    console.log(JSON.stringify(answer));
}).on('close', () => process.exit(0));
