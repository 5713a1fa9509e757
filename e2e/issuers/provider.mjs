// node-oidc-provider, set up as config/issuers/node-oidc-provider.toml says.
//   node provider.mjs PORT CERTIFICATE KEY KEYS
// KEYS is the private key set; it is read again on SIGHUP. The client star-ALG gets tokens signed with ALG, star-bound
// tokens bound to its certificate, star-encrypted encrypted ones, star-opaque ones that are no JWT, and stranger ones
// without the claims of an organisation.
import { createSecretKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const [port, certificate, key, keys] = process.argv.slice(2);
const scope = 'virksomhedsinstats.login.read virksomhedsinstats.login.write';
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
  'HS256'];
const names = [...algorithms.map((alg) => `star-${alg}`), 'star-bound', 'star-encrypted', 'star-opaque', 'stranger'];
const recipient = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;

function resourceServer(context, resource, client) {
  const alg = algorithms.find((name) => client.clientId === `star-${name}`) ?? 'RS256';
  const jwt = { sign: { alg } };
  if (alg === 'HS256') jwt.sign.key = createSecretKey(Buffer.alloc(32, 7));
  if (client.clientId === 'star-encrypted') jwt.encrypt = { alg: 'RSA-OAEP-256', enc: 'A128CBC-HS256', key: recipient };
  return { scope, audience: resource, accessTokenFormat: client.clientId === 'star-opaque' ? 'opaque' : 'jwt', jwt };
}

const answers = () => new Provider(`https://localhost:${port}`, {
  jwks: JSON.parse(readFileSync(keys)),
  scopes: scope.split(' '),
  clients: names.map((name) => ({
    client_id: name,
    client_secret: 'secret',
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    tls_client_certificate_bound_access_tokens: name === 'star-bound',
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    encryption: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (context) => new X509Certificate(context.socket.getPeerCertificate().raw),
    },
  },
  extraTokenClaims: (context, token) => (token.clientId === 'stranger' ? {}
    : { organisationType: 'STAR', organisationCode: '1', adgang: 'AlleBorgere' }),
}).callback();

let current = answers();
process.on('SIGHUP', () => { current = answers(); });
createServer({ cert: readFileSync(certificate), key: readFileSync(key), requestCert: true, rejectUnauthorized: false },
  (request, response) => current(request, response)).listen(port, '127.0.0.1');
