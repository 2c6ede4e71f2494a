"""The policies of the full world, in which every field of every kind is written somewhere.

Out: AuthPolicies. Called by full_world, which has what they refer to.
"""

from __future__ import annotations

from support import gatewayapi
from support.resources import Document, on, resource


def _jwt(name: str, source: Document) -> Document:
    jwt = {
        "issuer": f"https://{name}",
        "audiences": ["shop"],
        "jwks": source,
        "tenantClaim": "org",
        "rolesClaim": "r",
        "permissionsClaim": "p",
        "clockSkew": "30s",
    }
    return {"name": name, "jwt": jwt, "tenants": ["group"]}


def _here_and_there(name: str) -> list[Document]:
    return [{"name": name}, {"name": name, "namespace": "other"}]


def _oidc(source: Document) -> Document:
    elsewhere = {"namespace": "other"}
    oidc = {
        "issuer": "https://login.example.com",
        "clientId": "shop",
        "clientSecret": {"name": "client", "key": "secret", **elsewhere},
        "endpoints": {
            "authorization": "https://login.example.com/authorize",
            "token": "http://login.example.com/token",
            "endSession": "https://login.example.com/logout",
        },
        "tokenUpstream": {"name": "login", **elsewhere},
        "tokenAuthentication": "Post",
        "jwks": source,
        "scopes": ["profile"],
        "origin": "https://shop.example.com",
        "redirectPath": "/back",
        "logoutPath": "/out",
        "tenantClaim": "org",
        "rolesClaim": "r",
        "permissionsClaim": "p",
        "sessionTtl": "1h",
    }
    return {"name": "login", "oidc": oidc, "tenants": ["group"]}


def _external() -> dict[str, Document]:
    """By name, one of each protocol."""
    external = {
        "upstream": {"name": "asked", "namespace": "shop"},
        "path": "/authz",
        "appendPath": False,
        "requestHeaders": ["cookie"],
        "answerHeaders": ["x-auth-user"],
        "timeout": "1s",
        "onFailure": "Open",
    }
    agent = {"upstream": {"name": "asked"}, "protocol": "OPA", "path": "/v1/data/shop/allow"}
    opa = {"targets": [on("Route", "books", "says")], "authorization": {"external": agent}}
    asking = {"targets": [on("Route", "books", "sharded")], "authorization": {"external": external}}
    return {"asking": asking, "opa": opa}


def policies() -> list[Document]:
    here, there = {"name": "keys", "key": "jwks"}, {"name": "keys", "namespace": "other", "key": "jwks"}
    providers = [
        _jwt("map", {"configMap": here}),
        _jwt("map-there", {"configMap": there}),
        _jwt("secret", {"secret": here}),
        _jwt("secret-there", {"secret": there}),
        _jwt("url", {"url": "https://issuer.example.com/jwks.json", "refresh": "10m", "maxStale": "1h"}),
        {
            "name": "key",
            "apiKey": {"header": "x-key", "secrets": _here_and_there("api")},
            "tenants": ["group"],
        },
    ]
    grant = {
        "name": "grant",
        "roles": ["admin"],
        "permissions": ["read"],
        "tenants": ["acme"],
        "methods": ["GET"],
        "condition": "request.method == 'GET'",
    }
    edge = {
        "targets": [on("Edge", "public")],
        "overridable": True,
        "authentication": {"mode": "Required", "providers": providers},
        "onFailure": "Open",
    }
    rule = {"targets": [on("Route", "books", "list")], "authorization": {"grants": [grant]}, "shadow": True}
    # Where passwords are taken nothing fails open, so the edge's policy has none.
    password = {"name": "password", "basic": {"secrets": _here_and_there("users")}, "tenants": ["group"]}
    listener = {
        "targets": [gatewayapi.at("Gateway", "public", "http")],
        "authentication": {"providers": [password]},
        "authorization": {"grants": [grant]},
    }
    trial = {
        "targets": [on("Route", "books", "away")],
        "authentication": {"providers": [providers[-1]], "shadow": True},
    }
    # One policy sends browsers to one issuer, so that each source of keys needs a policy of its own.
    logins = {
        "rule-2": {"configMap": there},
        "says": {"secret": there},
        "sharded": {"url": "https://issuer.example.com/jwks.json", "refresh": "10m", "maxStale": "1h"},
    }
    made = [("edge", edge), ("rule", rule), ("listener", listener), *_external().items(), ("trial", trial)]
    for name, source in logins.items():
        spec = {"targets": [on("Route", "books", name)], "authentication": {"providers": [_oidc(source)]}}
        made.append((f"login-{name}", spec))
    return [resource("AuthPolicy", *each) for each in made]
