"""An entry as a Plan: nothing that decides a request is left out."""

import dataclasses

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.decision import plan_name, select_value
from fastforward_compiler.emit.decision.authpolicy import emit_apikeys, emit_auth
from fastforward_compiler.emit.decision.ratelimit import emit_limit
from fastforward_compiler.emit.decision.route import emit_plan

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.ir_values import entry, table, text

TABLE = table("a.test", tenant="acme")
MATCH = ir.Match(
    path_type=ir.PathType.EXACT,
    path="/books",
    methods=("GET",),
    headers=(text("x-a", "Regex", "a+"),),
    query=(text("q", "Present"),),
    listener="https",
    api_version="v2",
    roles=("admin",),
    region="north",
    flag="beta",
)
FULL = ir.Entry(
    id="shop/books#list.0",
    route="shop/books",
    rule="list",
    priority=3,
    match=MATCH,
    destination=ir.Split(shares=(ir.Share(upstream="shop/a", weight=3), ir.Share(upstream="", weight=1))),
    edge_admission=ir.Admission(deny_addresses=("10.0.0.0/8",)),
    admission=ir.Admission(max_body_bytes=0, content_types=("text/plain",), allow_addresses=("::/0",)),
    auth="shop/members",
    limits=("shop/limit",),
    placements=(ir.StagePlacement(stage="routing", placement=ir.Placement.INLINE, why="roles"),),
    hop=True,
    rewrite=ir.Rewrite(host="h", prefix="/p", path="/x", regex_pattern="r", regex_substitution="s"),
    request_headers=ir.HeaderChanges(remove=("x-r",), set=(("x-s", "1"),), add=(("x-t", "2"),)),
    response_headers=ir.HeaderChanges(set=(("x-u", "3"),)),
    cors=ir.Cors(
        allow_origins=("https://a",),
        allow_methods=("GET",),
        allow_headers=("x-h",),
        expose_headers=("x-e",),
        max_age_ms=90_500,
        allow_credentials=True,
    ),
    mirrors=(ir.Mirror(upstream="shop/copies", numerator=1, denominator=10),),
    fault=ir.Fault(delay_ms=5, delay_percent=1),
)


def test_a_plan_says_all_that_its_entry_says() -> None:
    assert emit_plan(FULL, TABLE) == pb.Plan(
        route="shop/books",
        rule="list",
        scope="shop/public|a.test",
        tenant="acme",
        priority=3,
        match=pb.Match(
            path_type=pb.PATH_MATCH_TYPE_EXACT,
            path="/books",
            methods=["GET"],
            headers=[pb.TextMatch(name="x-a", type=pb.TEXT_MATCH_TYPE_REGEX, value="a+")],
            query=[pb.TextMatch(name="q", type=pb.TEXT_MATCH_TYPE_PRESENT)],
            listener="https",
            api_version="v2",
            roles=["admin"],
            region="north",
            flag="beta",
        ),
        placements=[pb.StagePlacement(stage="routing", placement=pb.PLACEMENT_INLINE, why="roles")],
        edge_admission=pb.Admission(deny_addresses=["10.0.0.0/8"]),
        admission=pb.Admission(max_body_bytes=0, content_types=["text/plain"], allow_addresses=["::/0"]),
        auth="shop/members",
        limits=["shop/limit"],
        upstreams=pb.Split(upstreams=[pb.WeightedUpstream(upstream="shop/a", weight=3), pb.WeightedUpstream(weight=1)]),
        rewrite=pb.Rewrite(host="h", prefix="/p", path="/x", regex_pattern="r", regex_substitution="s"),
        request_headers=pb.HeaderChanges(
            remove=["x-r"],
            set=[pb.HeaderValue(name="x-s", value="1")],
            add=[pb.HeaderValue(name="x-t", value="2")],
        ),
        response_headers=pb.HeaderChanges(set=[pb.HeaderValue(name="x-u", value="3")]),
        cors=pb.Cors(
            allow_origins=["https://a"],
            allow_methods=["GET"],
            allow_headers=["x-h"],
            expose_headers=["x-e"],
            max_age_seconds=90,
            allow_credentials=True,
        ),
        select="shop/books#list.0",
    )


def test_what_says_nothing_is_left_out() -> None:
    plan = emit_plan(entry("plain"), TABLE)
    absent = ("edge_admission", "admission", "rewrite", "request_headers", "response_headers", "cors")
    assert [field for field in absent if plan.HasField(field)] == []


@pytest.mark.parametrize(
    ("destination", "field", "expected"),
    [
        (ir.Split(shares=()), "upstreams", pb.Split()),
        (
            ir.ShardDispatch(namespace="shop", purpose="db", key="tenant"),
            "shards",
            pb.ShardDispatch(namespace="shop", purpose="db", key="tenant"),
        ),
        (
            ir.Redirect(status=301, scheme="https", host="h", port=1, path="/p"),
            "redirect",
            pb.Redirect(status=301, scheme="https", host="h", port=1, path="/p"),
        ),
        (ir.Respond(status=204, body="b"), "respond", pb.Respond(status=204, body="b", content_type="text/plain")),
        (ir.Unavailable(reason="gone"), "unavailable", pb.Unavailable(reason="gone")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_destination_is_told(destination: ir.Destination, field: str, expected: object) -> None:
    plan = emit_plan(dataclasses.replace(entry("one"), destination=destination), TABLE)
    assert plan.WhichOneof("destination") == field
    assert getattr(plan, field) == expected


def test_only_rules_with_conditions_on_the_caller_are_selected() -> None:
    assert select_value(FULL) == "shop/books#list.0"
    assert select_value(entry("plain")) == ""


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ir.Entry) if field.name != "__weakref__"])
def test_whatever_decides_a_request_changes_the_plans_name(field: str) -> None:
    others: dict[str, object] = {
        "route": "shop/other",
        "rule": "other",
        "priority": 4,
        "match": ir.Match(),
        "destination": ir.Respond(status=200),
        "gate": True,
        "edge_admission": ir.Admission(),
        "admission": ir.Admission(),
        "auth": "",
        "limits": (),
        "placements": (),
        "rewrite": None,
        "request_headers": ir.HeaderChanges(),
        "response_headers": ir.HeaderChanges(),
        "cors": None,
        "csrf": ir.Csrf(hosts=("pages.example.com",)),
        "body": ir.Body(schema=ir.SchemaRef(schema="shop/order", version="v1"), max_bytes=7),
        "schedule": "until 2090-01-01T00:00:00Z",
        "response_body": ir.Body(schema=ir.SchemaRef(schema="shop/order", version="v1"), max_bytes=7),
    }
    called = ir.Transcoding(schema="shop/s", version="1", descriptors=b"", services=("a.B",))
    others["transcoding"] = called
    # These only concern the proxy: how it asks, waits and tries again. The id counts through `select`.
    proxys_own = {"hop", "fail_open", "timeout_ms", "idle_timeout_ms", "retry", "mirrors", "fault"}
    if field in others:
        assert plan_name(dataclasses.replace(FULL, **{field: others[field]}), TABLE) != plan_name(FULL, TABLE)
    else:
        assert field in {*proxys_own, "id"}


def test_an_auth_says_all_that_its_policies_say() -> None:
    auth = ir.Auth(
        name="shop/a+shop/b",
        mode=ir.Mode.OPTIONAL,
        providers=(
            ir.Provider(
                name="shop/a/keys",
                policy="shop/a",
                kind=ir.ApiKeyHeader(header="x-k", apikeys=("shop/k",)),
                any_tenant=True,
            ),
        ),
        authorizations=(
            ir.Authorization(
                policy="shop/b",
                shadow=True,
                grants=(
                    ir.Grant(
                        name="g", roles=("r",), permissions=("p",), tenants=("t",), methods=("GET",), condition="true"
                    ),
                ),
            ),
        ),
        fail_open=True,
    )
    assert emit_auth(auth) == pb.Auth(
        mode=pb.AUTH_MODE_OPTIONAL,
        providers=[
            pb.Provider(
                name="shop/a/keys",
                policy="shop/a",
                api_key=pb.ApiKeyProvider(header="x-k", apikeys=["shop/k"]),
                any_tenant=True,
            )
        ],
        authorizations=[
            pb.Authorization(
                policy="shop/b",
                shadow=True,
                grants=[
                    pb.Grant(name="g", roles=["r"], permissions=["p"], tenants=["t"], methods=["GET"], condition="true")
                ],
            )
        ],
        fail_open=True,
    )


def test_a_provider_of_tokens_says_how_they_are_read() -> None:
    kind = ir.Jwt(
        issuer="https://i",
        audiences=("shop",),
        keyset="k",
        tenant_claim="t",
        roles_claim="r",
        permissions_claim="p",
        clock_skew_s=5,
    )
    provider = ir.Provider(name="shop/a/jwt", policy="shop/a", kind=kind, tenants=("acme",))
    found = emit_auth(ir.Auth(name="shop/a", mode=ir.Mode.REQUIRED, providers=(provider,)))
    assert found.providers[0] == pb.Provider(
        name="shop/a/jwt",
        policy="shop/a",
        jwt=pb.JwtProvider(
            issuer="https://i",
            audiences=["shop"],
            keyset="k",
            tenant_claim="t",
            roles_claim="r",
            permissions_claim="p",
            clock_skew_seconds=5,
        ),
        tenants=["acme"],
    )


def test_keys_and_limits_say_all() -> None:
    key = ir.ApiKey(id="A", hash=b"h", tenant="t", subject="s", roles=("r",), permissions=("p",), not_after=7)
    assert emit_apikeys(ir.ApiKeys(name="n", pepper=b"p", keys=(key,))).keys[0] == pb.ApiKey(
        id="A", hash=b"h", tenant="t", subject="s", roles=["r"], permissions=["p"], not_after=7
    )
    small, large = ir.Budget(requests=1, window_ms=2, burst=3), ir.Budget(requests=4, window_ms=5, burst=6)
    found = emit_limit(
        ir.Limit(
            name="l",
            key=(ir.KeyPart(type="Header", header="x-a"), ir.KeyPart(type="Subject")),
            budget=small,
            plans=(("gold", large),),
            tenants=(("acme", large),),
            exact=True,
            fail_open=False,
            shadow=True,
        )
    )
    more = pb.Budget(requests=4, window_ms=5, burst=6)
    assert found == pb.Limit(
        key=[
            pb.KeyPart(type=pb.KEY_PART_TYPE_HEADER, header="x-a"),
            pb.KeyPart(type=pb.KEY_PART_TYPE_SUBJECT),
        ],
        budget=pb.Budget(requests=1, window_ms=2, burst=3),
        plans={"gold": more},
        tenants={"acme": more},
        exact=True,
        shadow=True,
    )
