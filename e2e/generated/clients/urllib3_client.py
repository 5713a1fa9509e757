"""The calls of test_clients.py through the client that openapi-generator makes for Python and urllib3."""

import json
import sys

from openapi_client import (ApiClient, ApiException, Configuration, SetVirksomhedsLoginDto, SetVirksomhedsLoginRequestDto,
                            VirksomhedsloginApi)

base, token, number, other, unknown = sys.argv[1:]
client = ApiClient(Configuration(host=base, access_token=token))
client.set_default_header("Accept-Encoding", "gzip")
api = VirksomhedsloginApi(client)


def body(company):
    """The body of SetLogin."""
    return SetVirksomhedsLoginRequestDto(virksomheds_login_dto=SetVirksomhedsLoginDto(cvr_nummer=company))


def millis(time):
    """A time in milliseconds."""
    return round(time.timestamp() * 1000)


def numbers(answer):
    """The status, and the companies' numbers."""
    return answer.status_code, [company.cvr_nummer for company in answer.data.virksomheder]


def failed(call, *arguments, **options):
    """The error that the call ends in."""
    try:
        call(*arguments, **options)
    except ApiException as error:
        return error
    raise AssertionError("the call did not fail")


def problem(error):
    """The members of the problem, as the client decoded it."""
    found = error.data
    members = {"type": found.type, "title": found.title, "status": found.status, "fejlkode": found.fejlkode,
               "fejltekst": found.fejltekst, "requestId": found.request_id}
    if found.fejl is not None:
        members["fejl"] = [{"felt": fault.felt, "fejltekst": fault.fejltekst} for fault in found.fejl]
    return members


result = {"set": api.set_login_with_http_info(number, body(number)).status_code}
one = api.get_login_with_http_info(number)
login = one.data.virksomheds_login_dto
result["one"] = (one.status_code, login.cvr_nummer, millis(login.tidligste_login_tidspunkt), millis(login.seneste_logintidspunkt))
result["one again"] = failed(api.get_login, number, if_none_match=one.headers["etag"]).status

listed = api.get_logins_with_http_info()
tag = listed.headers["etag"]
result |= {"coding": listed.headers["content-encoding"], "list": numbers(listed)}
result["list again"] = failed(api.get_logins, if_none_match=tag).status
api.set_login(other, body(other))
result["changes"] = numbers(api.get_logins_with_http_info(if_none_match=tag, a_im="feed"))

result["unknown"] = problem(failed(api.get_login, unknown, x_request_id="generated"))
result["mismatch"] = problem(failed(api.set_login, number, body(other), x_request_id="generated"))
print(json.dumps(result))
