// What is answered in place of what was asked for.

export type Problem = () => Response

function problem(status: number, fejlkode: string, fejltekst: string, headers: Record<string, string> = {}): Problem {
  const body = JSON.stringify({ status, fejlkode, fejltekst })
  const all = { 'content-type': 'application/problem+json', ...headers }
  return () => new Response(body, { status, headers: all })
}

export const problems = {
  request: problem(400, '1014', 'Forespørgslen er ugyldig.'),
  token: problem(401, '1012', 'Adgangstoken mangler eller er ugyldigt.', { 'www-authenticate': 'Bearer' }),
  scope: problem(403, '1013', 'Adgangstoken giver ikke det nødvendige scope.'),
  access: problem(403, '4575', 'Organisationen har ikke adgang.'),
  company: problem(404, '120500', 'Virksomheden findes ikke.'),
  path: problem(404, '1014', 'Stien findes ikke.'),
  unavailable: problem(503, '1100', 'Tjenesten er utilgængelig.'),
}
