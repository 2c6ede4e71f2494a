"""Which problems keep an object out of a cluster: those that no other object can mend by coming or going."""

import pytest
from fastforward_compiler.problem import ConditionType, ObjectRef, Reason, is_refused, problem

WARNED = {
    Reason.EDGE_NOT_FOUND,
    Reason.RULE_CONFLICT,
    Reason.CONFLICTED,
    Reason.TARGET_NOT_FOUND,
    Reason.TARGET_NOT_SERVED,
    Reason.REF_NOT_PERMITTED,
    Reason.UPSTREAM_NOT_FOUND,
    Reason.SERVICE_NOT_FOUND,
    Reason.NO_ENDPOINTS,
    Reason.SHARD_NOT_FOUND,
    Reason.SCHEMA_NOT_FOUND,
    Reason.TENANT_NOT_FOUND,
    Reason.SECRET_NOT_FOUND,
    Reason.SECRET_INVALID,
    Reason.ADDRESS_LIST_NOT_FOUND,
    Reason.RATE_LIMIT_NOT_FOUND,
    Reason.KEYS_UNAVAILABLE,
    Reason.LISTENERS_NOT_RESOLVED,
    Reason.INVALID_CLIENT_CERTIFICATE_REF,
    Reason.INVALID_CA_CERTIFICATE_REF,
    Reason.INVALID_KIND,
    Reason.BACKEND_NOT_FOUND,
}


@pytest.mark.parametrize("reason", Reason)
def test_what_may_still_come_is_no_obstacle(reason: Reason) -> None:
    found = problem(ObjectRef(kind="Route", namespace="shop", name="books"), reason, "spec", "Something.")
    assert is_refused(found) == (reason not in WARNED)
    assert not is_refused(found) or found.condition is ConditionType.ACCEPTED


def test_a_tenant_may_come_before_the_edge_that_owns_its_host() -> None:
    assert not is_refused(
        problem(ObjectRef(kind="Tenant", namespace="shop", name="acme"), Reason.HOST_NOT_OWNED, "spec.hosts[0]", "No.")
    )
