"""Plain values to YAML that says the same to our own reader, to Kubernetes and to PyYAML.

In: documents. Out: text. Called by whatever of ours writes YAML.
"""

from __future__ import annotations

import re

import yaml

from .document import plain_value

_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""What is a number to Kubernetes, with underscores or without: also 08, and those that are too long for us."""
_SHORT = frozenset("yYnN")
"""Truth to YAML 1.1; PyYAML has left it out."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """What occurs twice is written twice: Helm's reader and people know no anchors."""
        del data
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # What PyYAML takes for a text it leaves bare, such as 1e3.
    bare = plain_value(text) == text and text not in _SHORT and not _NUMBER.fullmatch(text.replace("_", ""))
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else "'")


_Dumper.add_representer(str, _represent_text)


def dump_documents(*documents: object, sort_keys: bool = False, width: int = 80) -> str:
    """Returns them as one text; lines are broken at `width`."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=sort_keys, allow_unicode=True, width=width)
