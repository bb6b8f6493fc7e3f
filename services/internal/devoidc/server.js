// An OpenID Connect provider that everybody can sign in to, for tests and development. Whoever types a name is that person; a name that begins with
// "unverified." is an address that the provider has not checked. Clients register themselves.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((listening) => server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: { openid: ['sub', 'auth_time'], email: ['email', 'email_verified'], profile: ['name'] },
  features: { registration: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_, name) => ({
    accountId: name,
    claims: () => ({ sub: name, email: name, email_verified: !name.startsWith('unverified.'), name: name.split('@')[0] }),
  }),
});
server.on('request', provider.callback());
console.log(issuer);

// It ends with whoever has started it.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
