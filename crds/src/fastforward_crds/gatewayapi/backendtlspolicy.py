"""BackendTLSPolicy: how a Gateway proves to itself who a backend is.

In: a BackendTLSPolicy document. Out: `BackendTlsPolicy`. Called by parse and the compiler's translate/gatewayapi.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fastforward_crds.formats import ExactHost
from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Resource, ShortText

from .reference import Hostname, ObjectRef, Section


class TlsTarget(Foreign):
    """A Service, or one of its ports by name."""

    group: ShortText
    kind: ShortText
    name: ShortText
    section_name: Section | None = None


class AltName(Foreign):
    """A name that the certificate has."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: ShortText | None = None


class BackendValidation(Foreign):
    """What the certificate must prove."""

    ca_certificate_refs: Annotated[tuple[ObjectRef, ...], Items(most=8)] = ()
    well_known_ca_certificates: Annotated[ShortText | None, Field(alias="wellKnownCACertificates")] = None
    hostname: ExactHost
    subject_alt_names: Annotated[tuple[AltName, ...], Items(most=5)] = ()


class BackendTlsPolicySpec(Foreign):
    """What a BackendTLSPolicy says."""

    target_refs: Annotated[tuple[TlsTarget, ...], Items(least=1, most=16)]
    validation: BackendValidation


class BackendTlsPolicy(Resource):
    """TLS towards backends."""

    kind: Literal["BackendTLSPolicy"] = "BackendTLSPolicy"
    spec: BackendTlsPolicySpec
