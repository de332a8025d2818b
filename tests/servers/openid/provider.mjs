// An OpenID provider that is certified as one, on loopback, until its standard input ends.
// Arguments: port, client id, client secret, redirect address. Whoever signs in there as
// "asha" is asha@example.com; a name's word "unverified" leaves the email unverified.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import process from 'node:process';
import { Provider } from 'oidc-provider';

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'k1' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: process.env.CLAIMS_BY_USERINFO === 'true',
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: id,
      email: `${id}@example.com`,
      email_verified: !id.includes('unverified'),
    }),
  }),
});

// It knows no choice between accounts, which Google is asked for: signing in anew is as good.
provider.use((ctx, next) => {
  ctx.url = ctx.url.replace('prompt=select_account', 'prompt=login');
  return next();
});

const server = provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
process.stdin.resume().on('end', () => server.close(() => process.exit(0)));
setTimeout(() => process.exit(0), 30 * 60 * 1000).unref();
