// The Bun peer: the three methods as a good team would build them with Bun.serve and bun:sqlite, in one process
// (benchmarks/peers/README.md).
import { appendFileSync, openSync } from 'node:fs'
import { callers, type Caller, type Endpoint } from './callers'
import { list, PAGE } from './list'
import { openLogins } from './logins'
import { problems } from './problems'
import { iso, one, parseCvr } from './text'
import { together } from './together'

const { env } = process
const LARGEST_BODY = 16 * 1024
const JSON_ANSWER = { headers: { 'content-type': 'application/json' } }

function setting(name: string): string {
  const value = env[name]
  if (!value) throw new Error(`the environment has no ${name}`)
  return value
}

const callerOf = callers(setting('JWKS'), setting('ISSUER'), setting('AUDIENCE'))
const logins = openLogins(setting('STORE'), env.COMPANIES, PAGE)
const accessLog = env.ACCESS_LOG ? openSync(env.ACCESS_LOG, 'a') : undefined
const writeLine = together<string>(lines => appendFileSync(accessLog!, lines.join('')))

/** The answer, once its line is in the access log; 503 where it cannot be written. */
function logged(metode: Endpoint, cvrNummer: string | undefined, caller: Caller | undefined, answer: Response) {
  if (accessLog === undefined) return answer
  const line = { tid: iso(Date.now()), metode, cvrNummer: cvrNummer ?? null, status: answer.status, sub: caller?.name ?? null }
  return writeLine(JSON.stringify(line) + '\n').then(() => answer, problems.unavailable)
}

async function getLogin(request: Request): Promise<Response> {
  const known = callerOf(request)
  const caller = known instanceof Promise ? await known : known
  const cvr = asked(request.url)
  return logged('GetLogin', cvr, caller, refused(caller, 'GetLogin') ?? (cvr ? company(cvr) : problems.request()))
}

async function setLogin(request: Bun.BunRequest<'/v1/Login/:cvr'>): Promise<Response> {
  const caller = await callerOf(request)
  const cvr = parseCvr(request.params.cvr)
  return logged('SetLogin', cvr, caller, refused(caller, 'SetLogin') ?? (await record(cvr, request)))
}

async function getLogins(request: Request): Promise<Response> {
  const caller = await callerOf(request)
  return logged('GetLogins', undefined, caller, refused(caller, 'GetLogins') ?? list(logins, request))
}

const refused = (caller: Caller | undefined, endpoint: Endpoint) => (caller ? caller.denied[endpoint]?.() : problems.token())

/** The one company of a query. */
function asked(url: string): string | undefined {
  const usual = /\?cvrNummer=([0-9]{8})$/.exec(url)
  if (usual) return usual[1]
  const given = new URL(url).searchParams.getAll('cvrNummer')
  return given.length === 1 ? parseCvr(given[0]) : undefined
}

function company(cvr: string): Response {
  const span = logins.find(Number(cvr))
  return span ? new Response(one(cvr, span.first, span.last), JSON_ANSWER) : problems.company()
}

async function record(cvr: string | undefined, request: Request): Promise<Response> {
  const body = (await request.json().catch(() => undefined)) as { VirksomhedsLoginDto?: { cvrNummer?: unknown } } | undefined
  if (!cvr || body?.VirksomhedsLoginDto?.cvrNummer !== cvr) return problems.request()
  try {
    await logins.record([Number(cvr), Date.now()])
  } catch (error) {
    console.error(error)
    return problems.unavailable()
  }
  return new Response(null, { status: 204 })
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(setting('PORT')),
  development: false,
  idleTimeout: 60, // seconds: a slow reader of the list keeps its connection
  maxRequestBodySize: LARGEST_BODY,
  routes: {
    '/v1/Login': { GET: getLogin },
    '/v1/Login/:cvr': { PUT: setLogin },
    '/v1/Logins': { GET: getLogins },
  },
  fetch: problems.path,
  error(fault) {
    console.error(fault)
    return problems.unavailable()
  },
})

process.on('SIGTERM', () => {
  void server.stop().then(() => process.exit(0))
})
