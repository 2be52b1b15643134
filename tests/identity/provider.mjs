// npm's oidc-provider as an issuer for tests: JWT access tokens for "moat", passwords, client credentials, exchange, refresh, and
// POST /rotate, which replaces the signing key, POST /life/N, after which tokens live N seconds, and POST /banish/NAME, who gets none
// any more; POST /browser has the address to which browsers come back with a code, whose person they are by a form that any password
// will do for. Prints its port. Lives until its standard input closes.  node provider.mjs [LIFE_S [PORT]]
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

let lifeS = Number(process.argv[2] ?? 5);
const RESOURCE = 'urn:moat';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const roles = { bob: ['moat-analyst', 'offline_access'], anna: ['moat-steward', 'moat-moat_admin'], olga: [] };
let generation = 0;
let handle;
let banished = null;
let redirects = [];

function makeKey() {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { ...privateKey.export({ format: 'jwk' }), kid: `key-${++generation}`, use: 'sig', alg: 'ES256' };
}

const server = (audience) => ({
    scope: 'read', audience, accessTokenFormat: 'jwt', accessTokenTTL: lifeS, jwt: { sign: { alg: 'ES256' } },
});

const client = (client_id, grant_types, redirect_uris = []) => ({
    client_id, client_secret: `${client_id}-secret`, grant_types: [...grant_types, ...(redirect_uris.length ? ['authorization_code'] : [])],
    redirect_uris, response_types: redirect_uris.length ? ['code'] : [],
    token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256',
});

function makeProvider(issuer) {
    const provider = new Provider(issuer, {
        clients: [client('moat', ['password', 'refresh_token', EXCHANGE], redirects), client('etl', ['client_credentials'])],
        jwks: { keys: [makeKey()] },
        features: {
            devInteractions: { enabled: redirects.length > 0 },
            clientCredentials: { enabled: true },
            resourceIndicators: {
                enabled: true,
                defaultResource: () => RESOURCE,
                useGrantedResource: () => true,
                getResourceServerInfo: () => server('moat'),
            },
        },
        scopes: ['openid', 'offline_access', 'read'],
        findAccount: (ctx, id) => (id === banished ? undefined : { accountId: id, claims: () => ({ sub: id }) }),
        extraTokenClaims: (ctx, token) => ({
            ...(token.accountId ? {} : { sub: token.clientId }),
            preferred_username: token.accountId ?? token.clientId,
            realm_access: { roles: roles[token.accountId] ?? [] },
            org: { region: 'EU' },
            policy: token.accountId === 'bob' ? 'readonly' : 'readwrite', // what MinIO then lets them do
        }),
        rotateRefreshToken: true,
        ttl: { RefreshToken: 600, Grant: 600, ClientCredentials: lifeS },
    });
    const issue = async (ctx, accountId, audience, grantId) => {
        const token = new provider.AccessToken({ accountId, client: ctx.oidc.client, grantId, gty: 'password', scope: 'read' });
        token.resourceServer = new provider.ResourceServer(RESOURCE, server(audience));
        return token.save();
    };
    provider.registerGrantType('password', async (ctx) => {
        const { username, password } = ctx.oidc.params;
        if (!roles[username] || username === banished || password !== `${username}-password`) throw new errors.InvalidGrant('wrong');
        const grant = new provider.Grant({ accountId: username, clientId: ctx.oidc.client.clientId });
        grant.addOIDCScope('openid offline_access');
        grant.addResourceScope(RESOURCE, 'read');
        const grantId = await grant.save();
        const refresh = new provider.RefreshToken({
            accountId: username, client: ctx.oidc.client, grantId, gty: 'password',
            scope: 'openid offline_access read', resource: RESOURCE, rotations: 0,
        });
        ctx.body = {
            access_token: await issue(ctx, username, 'moat', grantId), token_type: 'Bearer', expires_in: lifeS,
            refresh_token: await refresh.save(), scope: 'read',
        };
    }, ['username', 'password']);
    provider.registerGrantType(EXCHANGE, async (ctx) => {
        const claims = JSON.parse(Buffer.from(ctx.oidc.params.subject_token.split('.')[1], 'base64url'));
        const grant = new provider.Grant({ accountId: claims.sub, clientId: ctx.oidc.client.clientId });
        ctx.body = {
            access_token: await issue(ctx, claims.sub, ctx.oidc.params.audience, await grant.save()),
            issued_token_type: ctx.oidc.params.requested_token_type, token_type: 'Bearer', expires_in: lifeS,
        };
    }, ['subject_token', 'subject_token_type', 'requested_token_type', 'audience']);
    provider.on('server_error', (ctx, error) => console.error(error));
    return provider.callback();
}

const web = createServer((request, response) => {
    if (request.method === 'POST' && request.url === '/rotate') {
        handle = makeProvider(`http://127.0.0.1:${web.address().port}`);
        response.end('rotated');
        return;
    }
    if (request.method === 'POST' && request.url === '/browser') {
        let body = '';
        request.on('data', (part) => { body += part; }).on('end', () => {
            redirects = [body];
            handle = makeProvider(`http://127.0.0.1:${web.address().port}`);
            response.end('so be it');
        });
        return;
    }
    if (request.method === 'POST' && request.url.startsWith('/banish/')) {
        banished = request.url.slice(8);
        response.end('so be it');
        return;
    }
    if (request.method === 'POST' && request.url.startsWith('/life/')) {
        lifeS = Number(request.url.slice(6));
        response.end('so be it');
        return;
    }
    handle(request, response);
});
web.listen(Number(process.argv[3] ?? 0), '127.0.0.1', () => {
    handle = makeProvider(`http://127.0.0.1:${web.address().port}`);
    console.log(web.address().port);
});
process.stdin.on('end', () => process.exit(0)).resume();
