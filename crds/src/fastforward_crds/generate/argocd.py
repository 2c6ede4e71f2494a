"""From the health check of our kinds to settings of Argo CD, which wants it once a kind.

In: the check, in Lua. Out: a ConfigMap as YAML. Called by the generator's command.
"""

from __future__ import annotations

import yaml

from fastforward_crds.meta import GROUP
from fastforward_crds.registry import KINDS

from . import NOTICE


def write_settings(check: str) -> str:
    """The ConfigMap that is merged into Argo CD's own of this name."""
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {f"resource.customizations.health.{GROUP}_{kind.name}": check for kind in KINDS},
    }
    return f"# {NOTICE}\n" + yaml.dump(document, Dumper=_Readable, sort_keys=False, width=200)


class _Readable(yaml.SafeDumper):
    """Programs as they were written: line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
