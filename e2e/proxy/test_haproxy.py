"""What is HAProxy's own: health checks in HTTP/1.0, which must not cost a call, and the calls that an address may make."""

import http.client
import time

from proxies import HAProxy
from test_every_proxy import assert_no_login_is_lost
from test_nginx import star, without_id

# Every other one of a keep-alive connection was lost once, whenever a check in HTTP/1.0 had come in between.
OLD_CHECK = """    option httpchk OPTIONS /v1/Login
    http-check expect status 204
    # Without it a check may take no longer than `inter`, and a busy machine is taken for an absent service.
    timeout check 5s
    http-reuse safe
    server virksomhedslogin unix@/run/virksomhedslogin/api.sock check inter 10ms fall 1 rise 1 pool-purge-delay 60s
"""


def test_no_login_is_lost_while_health_checks_are_http_1_0(proxied, tmp_path):
    with HAProxy(proxied, tmp_path, lambda text: text[:text.index("    # Whether the service can do its part")] + OLD_CHECK) as haproxy:
        assert_no_login_is_lost(proxied, haproxy)


def test_an_address_that_calls_without_a_token_is_limited_and_leaves_a_bounded_log(proxied, tmp_path):
    with HAProxy(proxied, tmp_path) as haproxy:
        connection = http.client.HTTPSConnection("localhost", haproxy.port, timeout=30, context=proxied.context)
        answers = []
        for _ in range(300):
            connection.request("GET", "/v1/Logins")
            answer = connection.getresponse()
            answers.append((answer.status, answer.headers["retry-after"]))
            answer.read()
        assert answers[0] == (401, None) and answers[-1] == (429, "1")
        refused = sum(status == 401 for status, _ in answers)
        answer = haproxy.ask("GET", "/v1/Logins")
        assert answer.status == 429 and without_id(answer)["fejlkode"] == "1100"
        assert haproxy.ask("GET", "/v1/Login?cvrNummer=00000001", star(proxied)).status == 200, "from the same address"
        time.sleep(0.3)
        assert (tmp_path / "output.log").read_text().count('"status":4') == refused, "what HAProxy refuses leaves no line"
