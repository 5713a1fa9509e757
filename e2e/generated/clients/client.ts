/** The calls of test_clients.py through the client that openapi-generator makes for TypeScript and fetch. */
import {
    ApiResponse, Configuration, GetVirksomhedsLoginResponseDtoCollection, Problem, ProblemFromJSON, ResponseError,
    SetVirksomhedsLoginRequestDto, VirksomhedsLoginDto, VirksomhedsloginApi,
} from './index.js';

declare const process: { argv: string[] };
const [base, token, number, other, unknown] = process.argv.slice(2) as [string, string, string, string, string];
const api = new VirksomhedsloginApi(new Configuration({ basePath: base, accessToken: token }));

const body = (number: string): SetVirksomhedsLoginRequestDto => ({ virksomhedsLoginDto: { cvrNummer: number } });
const tag = (response: ApiResponse<unknown>): string => response.raw.headers.get('etag')!;

async function numbers(response: ApiResponse<GetVirksomhedsLoginResponseDtoCollection>): Promise<[number, string[]]> {
    const companies = (await response.value()).virksomheder;
    return [response.raw.status, companies.map((company: VirksomhedsLoginDto) => company.cvrNummer)];
}

async function failed(call: Promise<unknown>): Promise<Response> {
    try {
        await call;
    } catch (error) {
        if (error instanceof ResponseError) return error.response;
        throw error;
    }
    throw new Error('the call did not fail');
}

async function problem(call: Promise<unknown>): Promise<Problem> {
    const { type, title, status, fejlkode, fejltekst, requestId, fejl } =
        ProblemFromJSON(await (await failed(call)).json());
    return { type, title, status, fejlkode, fejltekst, requestId, ...(fejl && { fejl }) };
}

const set = await api.setLoginRaw({ cvrNummer: number, setVirksomhedsLoginRequestDto: body(number) });
const one = await api.getLoginRaw({ cvrNummer: number });
const login = (await one.value()).virksomhedsLoginDto;
const oneAgain = await failed(api.getLogin({ cvrNummer: number, ifNoneMatch: tag(one) }));

const list = await api.getLoginsRaw({});
const listed = await numbers(list);
const listAgain = await failed(api.getLogins({ ifNoneMatch: tag(list) }));
await api.setLogin({ cvrNummer: other, setVirksomhedsLoginRequestDto: body(other) });
const changes = await numbers(await api.getLoginsRaw({ ifNoneMatch: tag(list), aIM: 'feed' }));

console.log(JSON.stringify({
    'set': set.raw.status,
    'one': [one.raw.status, login.cvrNummer, login.tidligsteLoginTidspunkt.getTime(), login.senesteLogintidspunkt.getTime()],
    'one again': oneAgain.status,
    'coding': list.raw.headers.get('content-encoding'),
    'list': listed,
    'list again': listAgain.status,
    'changes': changes,
    'unknown': await problem(api.getLogin({ cvrNummer: unknown, xRequestId: 'generated' })),
    'mismatch': await problem(api.setLogin(
        { cvrNummer: number, setVirksomhedsLoginRequestDto: body(other), xRequestId: 'generated' })),
}));
