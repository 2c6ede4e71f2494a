"""Login by OpenID Connect (Core 1.0, code flow with PKCE): a real issuer, a real Envoy, a browser's requests."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from support.credentials import jwks, tls_data
from support.gateway import Gateway, until
from support.issuer import CLIENT, HOST, ISSUER, LABEL, SECRET, Issuer, login_of
from support.origin import Origin
from support.resources import (
    Document,
    config_map,
    edge,
    granted_to,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    tokens_of,
    upstream,
)
from support.tokens import bearer
from support.visitor import PAGE, Visitor

SITE = "http://example.com"


@dataclass(slots=True)
class Scene:
    """A gateway with a page behind a login, and the issuer."""

    gateway: Gateway
    page: Origin
    issuer: Issuer
    login: Origin

    def visitor(self) -> Visitor:
        return Visitor({"example.com": self.gateway.port, HOST: self.login.port})


@pytest.fixture
def scene(deciding_gateway: Gateway) -> Scene:
    gateway = deciding_gateway
    issuer = Issuer((f"{SITE}/oauth2/callback",))
    page, login = gateway.upstream("page"), gateway.upstream("login", issuer.answer)
    gateway.apply(
        secret("client", {"secret": SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        route("page", rule(to="page")),
        policy("staff", on("Route", "page"), authentication=proven_by(login_of())),
    )
    return Scene(gateway, page, issuer, login)


def change(scene: Scene, *providers: Document, **spec: object) -> None:
    """The same policy with other providers."""
    scene.gateway.apply(policy("staff", on("Route", "page"), authentication=proven_by(*providers), **spec))


def test_a_browser_is_sent_to_the_issuer_and_comes_back_to_its_page(scene: Scene) -> None:
    scene.issuer.claims |= {"tenant": "acme", "roles": ["staff"]}
    visitor = scene.visitor()
    answer = visitor.open(f"{SITE}/orders?page=2&of=a%2Fb")
    assert (answer.status, answer.origin) == (200, "page")
    assert [urlsplit(url).hostname for url in visitor.been] == ["example.com", HOST, "example.com", "example.com"]
    assert visitor.been[-1] == f"{SITE}/orders?page=2&of=a%2Fb"
    assert (scene.page.last.header("x-ff-tenant"), scene.page.last.header("x-ff-subject")) == ("acme", "ann")
    asked = parse_qs(urlsplit(visitor.been[1]).query)
    assert (asked["client_id"], asked["redirect_uri"]) == ([CLIENT], [f"{SITE}/oauth2/callback"])
    assert asked["scope"] == ["openid"]
    visitor.open(f"{SITE}/again")
    assert len(visitor.been) == 5, "once is enough"
    assert len(scene.issuer.issued) == 1


def test_what_the_login_needs_goes_no_further_and_the_other_cookies_do(scene: Scene) -> None:
    visitor = scene.visitor()
    visitor.open(f"{SITE}/")
    assert scene.page.last.header("cookie") is None
    (name,) = visitor.cookies["example.com"]
    assert name.startswith("ff-session-")
    visitor.cookies["example.com"] |= {"theme": "dark", "ff-session": "mine"}
    assert visitor.open(f"{SITE}/").status == 200
    assert scene.page.last.header("cookie") == "theme=dark; ff-session=mine"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"accept": "application/json"}),
        ("POST", PAGE),
        ("GET", {**PAGE, "sec-fetch-mode": "cors"}),
    ],
)
def test_whoever_opens_no_page_is_401_with_a_challenge(scene: Scene, method: str, headers: dict[str, str]) -> None:
    answer = scene.gateway.request(method, headers=headers)
    assert (answer.status, answer.reason) == (401, "authentication/login-required")
    assert answer.header("www-authenticate") == 'OpenID realm="example.com"'
    assert (answer.header("location"), answer.values("set-cookie")) == (None, [])
    assert scene.gateway.log_line(answer)["refusal"] == "authentication/login-required"
    assert scene.page.received == []


def test_an_issuer_that_wants_the_secret_in_the_form_gets_it_there(scene: Scene) -> None:
    scene.issuer.in_form = True
    assert scene.visitor().open(f"{SITE}/orders").status == 401
    change(scene, login_of(tokenAuthentication="Post"))
    assert scene.visitor().open(f"{SITE}/orders").status == 200


def test_logging_out_ends_the_session_here_and_at_the_issuer(scene: Scene) -> None:
    visitor = scene.visitor()
    visitor.open(f"{SITE}/")
    left = visitor.step(f"{SITE}/oauth2/logout")
    assert (left.status, left.header("location"), left.reason) == (302, "/", "authentication/logged-out")
    assert visitor.cookies["example.com"] == {}
    ends = {**login_of()["oidc"]["endpoints"], "endSession": f"{ISSUER}/logout"}
    change(scene, login_of(endpoints=ends, logoutPath="/bye"))
    until(lambda: visitor.step(f"{SITE}/bye").header("location") != "/oauth2/logout" and visitor.open(f"{SITE}/bye"))
    sent = urlsplit(visitor.been[-1])
    assert (sent.hostname, sent.path) == (HOST, "/logout")
    assert parse_qs(sent.query) == {"client_id": [CLIENT], "post_logout_redirect_uri": [f"{SITE}/"]}


def test_many_pages_may_wait_for_one_login_each(scene: Scene) -> None:
    """As when a browser opens all its bookmarks."""
    visitor = scene.visitor()
    waiting = [visitor.until_sent_to(HOST, f"{SITE}/{number}") for number in range(3)]
    for number, url in reversed(list(enumerate(waiting))):
        assert visitor.open(url).origin == "page"
        assert visitor.been[-1] == f"{SITE}/{number}"
    assert len(visitor.cookies["example.com"]) == 1, "nothing is left of them"


def test_logins_that_never_came_back_are_forgotten(scene: Scene) -> None:
    visitor = scene.visitor()
    for number in range(12):
        visitor.step(f"{SITE}/{number}")
        assert len(visitor.cookies["example.com"]) <= 5
    assert visitor.open(f"{SITE}/last").origin == "page"


def test_roles_and_tenants_of_the_id_token_decide(scene: Scene) -> None:
    grants = granted_to(staff={"roles": ["staff"]}, readers={"permissions": ["read"], "methods": ["GET"]})
    change(
        scene,
        login_of(tenants=("acme",), tenantClaim="org", rolesClaim="realm_access.roles", permissionsClaim="scope"),
        authorization=grants,
    )
    for claims, status, reason in (
        ({"org": "acme", "realm_access": {"roles": ["staff"]}}, 200, None),
        ({"org": "acme", "scope": "read write"}, 200, None),
        ({"org": "acme"}, 403, "authorization/not-granted"),
        ({"org": "globex"}, 403, "authentication/tenant-not-allowed"),
    ):
        scene.issuer.claims = claims
        answer = scene.visitor().open(f"{SITE}/")
        assert (answer.status, answer.reason) == (status, reason)
    assert scene.page.last.header("x-ff-tenant") == "acme"


def test_a_session_ends_in_time_and_with_the_clients_secret(scene: Scene) -> None:
    change(scene, login_of(sessionTtl="1m"))
    visitor = scene.visitor()
    visitor.step(until(lambda: visitor.until_sent_to(HOST, f"{SITE}/")))
    back = visitor.been[-1]
    landed = visitor.step(visitor.until_sent_to("example.com", back))
    assert any("Max-Age=60;" in line for line in landed.values("set-cookie"))
    assert visitor.open(f"{SITE}/").status == 200
    scene.gateway.apply(secret("client", {"secret": "another secret of the client"}))
    until(lambda: visitor.step(f"{SITE}/").status == 302)


def test_what_the_issuer_refuses_is_told_and_begins_anew(scene: Scene) -> None:
    visitor = scene.visitor()
    scene.issuer.refuses = "access_denied"
    answer = visitor.open(f"{SITE}/")
    assert (answer.status, answer.reason) == (401, "authentication/login-failed")
    assert visitor.cookies["example.com"] == {}
    scene.issuer.refuses = ""
    assert visitor.open(f"{SITE}/").status == 200


def test_a_token_endpoint_that_is_away_is_503_and_opens_nothing(scene: Scene) -> None:
    scene.gateway.apply(upstream("login", 1))
    change(scene, login_of(), onFailure="Open")
    answer = until(lambda: scene.visitor().open(f"{SITE}/"), lambda answer: answer.status == 503)
    assert answer.reason == "authentication/login-unavailable"
    assert scene.page.received == []


def test_an_issuer_that_takes_its_time_sees_the_code_once(scene: Scene) -> None:
    """The proxy waits longer than for other decisions, and asks no second service meanwhile."""
    scene.issuer.slow_s = 1.2
    assert scene.visitor().open(f"{SITE}/").status == 200
    assert scene.issuer.asked == 1


def test_tokens_are_taken_beside_sessions_and_come_first(scene: Scene) -> None:
    scene.gateway.apply(config_map("keys", {LABEL: jwks(LABEL), "a": jwks("a")}))
    change(scene, login_of(), tokens_of("a"))
    assert until(lambda: scene.gateway.get(headers=bearer("a")), lambda answer: answer.status == 200)
    visitor = scene.visitor()
    assert visitor.open(f"{SITE}/").status == 200
    assert visitor.step(f"{SITE}/", bearer("a", tenant="acme")).status == 200
    assert scene.page.last.header("x-ff-subject") == "user-of-a"
    assert visitor.step(f"{SITE}/", {"authorization": "Bearer x.y.z"}).status == 401
    challenges = scene.gateway.get().values("www-authenticate")
    assert challenges == ['Bearer realm="http://example.com/"', 'OpenID realm="example.com"']


def test_with_tls_the_cookies_are_of_this_host_alone_and_secure(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    issuer = Issuer(("https://example.com/back",))
    page, login = gateway.upstream("page"), gateway.upstream("login", issuer.answer)
    listener = {"name": "https", "port": gateway.port, "protocol": "HTTPS", "tls": {"certificates": [{"name": "tls"}]}}
    gateway.apply(
        secret("tls", tls_data("example.com"), "kubernetes.io/tls"),
        secret("client", {"secret": SECRET}),
        issuers(LABEL),
        edge(gateway.port, listeners=[listener]),
        route("page", rule(to="page")),
        policy("staff", on("Route", "page"), authentication=proven_by(login_of(redirectPath="/back"))),
    )
    visitor = Visitor({"example.com": gateway.port, HOST: login.port})
    assert visitor.open("https://example.com/").origin == "page"
    (name,) = visitor.cookies["example.com"]
    assert name.startswith("__Host-ff-session-")
    assert page.last.header("cookie") is None


def test_the_site_is_what_the_policy_says_where_browsers_see_another(scene: Scene) -> None:
    scene.issuer.redirect_uris = ("http://example.com:8080/oauth2/callback",)
    change(scene, login_of(origin="http://example.com:8080"))
    assert until(lambda: scene.visitor().open(f"{SITE}/")).origin == "page"


def test_rules_beside_it_know_nothing_of_the_login(scene: Scene) -> None:
    scene.gateway.apply(route("open", rule(prefix("/open"), to="page")))
    answer = until(lambda: scene.gateway.get("/open", headers=PAGE), lambda answer: answer.status == 200)
    assert answer.origin == "page"
    assert scene.gateway.get("/open", headers={**PAGE, "cookie": "ff-session-00000000=x"}).status == 200
    assert scene.page.last.header("cookie") == "ff-session-00000000=x"


def test_without_the_secret_or_the_upstream_the_policy_is_broken(scene: Scene) -> None:
    wrong = login_of(clientSecret={"name": "nobody", "key": "secret"}, tokenUpstream={"name": "nowhere"})
    scene.gateway.apply(
        policy("other", on("Route", "page"), authentication=proven_by(wrong)),
        expect={("AuthPolicy", "other"): "UpstreamNotFound"},
    )
    field = "spec.authentication.providers[0].oidc"
    problems = scene.gateway.problems("AuthPolicy", "other")
    assert problems[f"{field}.clientSecret"].endswith("/nobody was not found.")
    assert problems[f"{field}.tokenUpstream"].endswith("/nowhere was not found.")
