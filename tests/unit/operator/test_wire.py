"""Responses that are put together from bytes are what protobuf itself would have written."""

from envoy.config.cluster.v3 import cluster_pb2
from envoy.service.discovery.v3 import discovery_pb2
from fastforward_operator.xds import wire
from fastforward_operator.xds.store import CLUSTER
from google.protobuf import any_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from fastforward.snapshot.v1 import snapshot_pb2

NAMES = st.text(min_size=1, max_size=300)


@settings(deadline=None)
@given(st.dictionaries(NAMES, NAMES, max_size=4), st.lists(NAMES, max_size=4))
def test_a_delta_response_reads_back_as_what_went_in(versions: dict[str, str], removed: list[str]) -> None:
    bodies = {name: cluster_pb2.Cluster(name=name, alt_stat_name="x" * 200).SerializeToString() for name in versions}
    entries = [wire.envoy_entry(CLUSTER, name, version, bodies[name]) for name, version in versions.items()]
    response = discovery_pb2.DeltaDiscoveryResponse.FromString(wire.delta_response(CLUSTER, "7", entries, removed))
    assert response == discovery_pb2.DeltaDiscoveryResponse(
        type_url=CLUSTER,
        nonce="7",
        system_version_info="7",
        removed_resources=removed,
        resources=[
            discovery_pb2.Resource(
                name=name, version=version, resource=any_pb2.Any(type_url=CLUSTER, value=bodies[name])
            )
            for name, version in versions.items()
        ],
    )


@settings(deadline=None)
@given(st.dictionaries(NAMES, NAMES, max_size=4), st.lists(NAMES, max_size=4), st.booleans())
def test_a_snapshot_delta_reads_back_as_what_went_in(
    versions: dict[str, str], removed: list[str], complete: bool
) -> None:
    resources = [snapshot_pb2.Resource(name=name, version=version) for name, version in versions.items()]
    entries = [wire.snapshot_entry(resource.SerializeToString()) for resource in resources]
    delta = snapshot_pb2.SnapshotDelta.FromString(wire.snapshot_delta("9", entries, removed, complete=complete))
    assert delta == snapshot_pb2.SnapshotDelta(nonce="9", resources=resources, removed=removed, complete=complete)
    assert [snapshot_pb2.Resource.FromString(wire.entry_content(entry)) for entry in entries] == resources
