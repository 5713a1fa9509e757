// Who calls, and what they may: RS256 by a key set file, then scope, then the access table.
import { createLocalJWKSet, jwtVerify, type JWTPayload } from 'jose'
import { readFileSync } from 'node:fs'
import { problems, type Problem } from './problems'

export type Endpoint = 'GetLogin' | 'SetLogin' | 'GetLogins'

export interface Caller {
  name: string
  /** Milliseconds since 1970. */
  ends: number
  denied: Record<Endpoint, Problem | undefined>
}

const LEEWAY = 30 // seconds by which the issuer's clock may differ
const REMEMBERED = 16_384
const LONGEST_CODE = 20
const READ = 'virksomhedsinstats.login.read'
const WRITE = 'virksomhedsinstats.login.write'

/** The access table as it is shipped (config/access.toml), with the scope of each endpoint. */
const RULES: Record<Endpoint, { scope: string; modes: Map<unknown, string[]> }> = {
  GetLogin: {
    scope: READ,
    modes: new Map([
      ['A-kasse', ['AlleBorgere']], ['JobCenter', ['AlleBorgere', 'EgneBorgere', 'TidligereEgneBorgere']], ['STAR', ['AlleBorgere']]]),
  },
  SetLogin: { scope: WRITE, modes: new Map([['STAR', ['AlleBorgere']]]) },
  GetLogins: {
    scope: READ,
    modes: new Map([['A-kasse', ['AlleBorgere']], ['JobCenter', ['AlleBorgere', 'EgneBorgere']], ['STAR', ['AlleBorgere']]]),
  },
}

function denied({ scope, organisationType, organisationCode, adgang }: JWTPayload, endpoint: Endpoint): Problem | undefined {
  const rule = RULES[endpoint]
  if (typeof scope !== 'string' || !scope.split(' ').includes(rule.scope)) return problems.scope
  const modes = rule.modes.get(organisationType) ?? []
  const hasMode = (Array.isArray(adgang) ? adgang : [adgang]).some(mode => modes.includes(mode))
  const hasCode = typeof organisationCode === 'string' && organisationCode !== '' && organisationCode.length <= LONGEST_CODE
  return hasMode && hasCode ? undefined : problems.access
}

/** Gives the caller of a request, or nothing where its token is not good; at once where the token is remembered. */
export function callers(keySet: string, issuer: string, audience: string) {
  const keys = createLocalJWKSet(JSON.parse(readFileSync(keySet, 'utf8')))
  const options = { algorithms: ['RS256'], issuer, audience, clockTolerance: LEEWAY, requiredClaims: ['exp'] }
  const remembered = new Map<string, Caller>()

  async function verify(token: string): Promise<Caller | undefined> {
    let claims: JWTPayload
    try {
      claims = (await jwtVerify(token, keys, options)).payload
    } catch {
      return undefined
    }
    const name = claims.sub ?? claims.client_id
    if (typeof name !== 'string' || name === '') return undefined
    const caller = {
      name,
      ends: (claims.exp! + LEEWAY) * 1000,
      denied: { GetLogin: denied(claims, 'GetLogin'), SetLogin: denied(claims, 'SetLogin'), GetLogins: denied(claims, 'GetLogins') },
    }
    // A Map keeps the order of insertion: the first is the oldest.
    if (remembered.size >= REMEMBERED) remembered.delete(remembered.keys().next().value!)
    remembered.set(token, caller)
    return caller
  }

  return (request: Request): Caller | undefined | Promise<Caller | undefined> => {
    const authorization = request.headers.get('authorization')
    if (!authorization?.startsWith('Bearer ')) return undefined
    const token = authorization.slice('Bearer '.length)
    const caller = remembered.get(token)
    return caller && caller.ends > Date.now() ? caller : verify(token)
  }
}
