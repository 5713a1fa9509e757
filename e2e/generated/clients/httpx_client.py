"""The calls of test_clients.py through the client that openapi-python-client makes, for httpx."""

import json
import sys

from virksomhedslogin_client import AuthenticatedClient
from virksomhedslogin_client.api.virksomhedslogin import get_login, get_logins, set_login
from virksomhedslogin_client.models import Problem, SetVirksomhedsLoginDto, SetVirksomhedsLoginRequestDto

base, token, number, other, unknown = sys.argv[1:]
client = AuthenticatedClient(base_url=base, token=token, raise_on_unexpected_status=True)


def body(company):
    """The body of SetLogin."""
    return SetVirksomhedsLoginRequestDto(virksomheds_login_dto=SetVirksomhedsLoginDto(cvr_nummer=company))


def millis(time):
    """A time in milliseconds."""
    return round(time.timestamp() * 1000)


def numbers(answer):
    """The status, and the companies' numbers."""
    return answer.status_code, [company.cvr_nummer for company in answer.parsed.virksomheder]


def problem(answer):
    """The members of the problem, as the client decoded it."""
    found = answer.parsed
    assert isinstance(found, Problem)
    members = {"type": found.type_, "title": found.title, "status": found.status, "fejlkode": found.fejlkode,
               "fejltekst": found.fejltekst, "requestId": found.request_id}
    if found.fejl:
        members["fejl"] = [{"felt": fault.felt, "fejltekst": fault.fejltekst} for fault in found.fejl]
    return members


result = {"set": set_login.sync_detailed(number, client=client, body=body(number)).status_code}
one = get_login.sync_detailed(client=client, cvr_nummer=number)
login = one.parsed.virksomheds_login_dto
result["one"] = (one.status_code, login.cvr_nummer, millis(login.tidligste_login_tidspunkt), millis(login.seneste_logintidspunkt))
result["one again"] = get_login.sync_detailed(client=client, cvr_nummer=number, if_none_match=one.headers["etag"]).status_code

listed = get_logins.sync_detailed(client=client)
tag = listed.headers["etag"]
result |= {"coding": listed.headers["content-encoding"], "list": numbers(listed)}
result["list again"] = get_logins.sync_detailed(client=client, if_none_match=tag).status_code
assert set_login.sync_detailed(other, client=client, body=body(other)).status_code == 204
result["changes"] = numbers(get_logins.sync_detailed(client=client, if_none_match=tag, a_im="feed"))

result["unknown"] = problem(get_login.sync_detailed(client=client, cvr_nummer=unknown, x_request_id="generated"))
result["mismatch"] = problem(set_login.sync_detailed(number, client=client, body=body(other), x_request_id="generated"))
print(json.dumps(result))
