"""Headers by which browsers protect the client."""

from support.credentials import tls_data
from support.gateway import Gateway
from support.origin import Received, Reply
from support.processes import free_port
from support.resources import edge, exact, route, rule, secret

YEAR = "max-age=31536000; includeSubDomains"


def test_every_answer_has_them_the_edges_own_as_well(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(
        edge(gateway.port, securityHeaders={}),
        route("books", rule(exact("/books"), to="books"), rule(exact("/says"), says="here")),
    )
    for path, status in (("/books", 200), ("/says", 200), ("/nothing", 404)):
        answer = gateway.get(path)
        assert answer.status == status
        assert answer.header("content-security-policy") == "default-src 'none'; frame-ancestors 'none'"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("strict-transport-security") is None, "never in clear text (RFC 6797, section 7.2)"


def test_what_an_answer_says_itself_stays(gateway: Gateway) -> None:
    def own(_: Received) -> Reply:
        return Reply(headers=(("content-security-policy", "img-src *"), ("x-frame-options", "SAMEORIGIN")))

    gateway.upstream("books", own)
    gateway.apply(edge(gateway.port, securityHeaders={}), route("books", rule(to="books")))
    answer = gateway.get()
    assert [answer.header(name) for name in ("content-security-policy", "x-frame-options", "referrer-policy")] == [
        "img-src *",
        "SAMEORIGIN",
        "no-referrer",
    ]


def test_over_tls_browsers_are_told_to_stay_there(gateway: Gateway) -> None:
    ports = {days: free_port() for days in (365, 0)}
    gateway.apply(secret("tls", tls_data("*.example.com"), "kubernetes.io/tls"))
    for days, port in ports.items():
        tls = {"certificates": [{"name": "tls"}]}
        listener = {"name": "https", "port": port, "protocol": "HTTPS", "tls": tls}
        hosts = [f"d{days}.example.com"]
        headers = {"preset": "Web", "hstsDays": days, "contentSecurityPolicy": "default-src 'self'"}
        gateway.apply(
            edge(port, name=f"e{days}", hosts=hosts, listeners=[listener], securityHeaders=headers),
            {
                **route(f"r{days}", rule(says="here")),
                "spec": {"edges": [{"name": f"e{days}"}], "rules": [rule(says="x")]},
            },
        )
        answer = gateway.get(host=hosts[0], port=port, server_name=hosts[0])
        assert answer.header("strict-transport-security") == (YEAR if days else None)
        assert answer.header("content-security-policy") == "default-src 'self'"
        assert "camera=()" in str(answer.header("permissions-policy"))


def test_without_the_setting_there_are_none(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    assert gateway.get().header("x-content-type-options") is None
