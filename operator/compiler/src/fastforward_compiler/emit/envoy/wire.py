"""The small building blocks of Envoy's API: durations, wrapped numbers, header options, matchers, Any.

In: Python values. Out: messages. Called by every module beside this one. Strings of users enter messages as they are,
except where Envoy would read them as a format or a pattern: `header_value` and `literal_pattern` are for those.
"""

from __future__ import annotations

from google.protobuf import any_pb2, duration_pb2, wrappers_pb2

from .protos import EnvoyMessage, base_pb2, config_source_pb2, extension_pb2, regex_pb2, string_pb2

TYPE_PREFIX = "type.googleapis.com/"
ADS = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
)

PATIENT_ADS = config_source_pb2.ConfigSource(initial_fetch_timeout=duration_pb2.Duration())
"""The same, waited for without end: who starts while the operator is away is not ready before it is back."""
PATIENT_ADS.MergeFrom(ADS)

SET = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
ADD = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
ADD_IF_ABSENT = base_pb2.HeaderValueOption.ADD_IF_ABSENT
OVERWRITE_IF_THERE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS

_RE2_SPECIAL = frozenset("\\.+*?()|[]{}^$")


def serialise(message: EnvoyMessage) -> bytes:
    """Returns the message's bytes; the same for equal messages."""
    return message.SerializeToString(deterministic=True)


def type_url(message: EnvoyMessage) -> str:
    """Returns the URL under which an Any or an xDS response carries the message (or message class)."""
    return TYPE_PREFIX + message.DESCRIPTOR.full_name


def pack(message: EnvoyMessage) -> any_pb2.Any:
    """Returns the message inside an Any."""
    return any_pb2.Any(type_url=type_url(message), value=serialise(message))


def milliseconds(value: int) -> duration_pb2.Duration:
    """Returns a protobuf Duration."""
    return duration_pb2.Duration(seconds=value // 1000, nanos=value % 1000 * 1_000_000)


def uint32(value: int) -> wrappers_pb2.UInt32Value:
    """Returns a number that knows whether it is set."""
    return wrappers_pb2.UInt32Value(value=value)


def boolean(value: bool) -> wrappers_pb2.BoolValue:
    """Returns a boolean that knows whether it is set."""
    return wrappers_pb2.BoolValue(value=value)


def header_value(text: str) -> str:
    """Returns `text` as Envoy's header formatter reads it literally: there, % starts a command."""
    return text.replace("%", "%%")


def header_option(name: str, value: str, action: int = SET) -> EnvoyMessage:
    """Returns a header to write; `value` is a format. An empty value is written as well."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value), append_action=action, keep_empty_value=True
    )


def literal_pattern(text: str) -> str:
    """Returns the regular expression (RE2) that matches exactly `text`."""
    return "".join(f"\\{char}" if char in _RE2_SPECIAL else char for char in text)


def literal_substitution(text: str) -> str:
    r"""Returns the substitution (RE2) that yields exactly `text`: there, \ starts a group."""
    return text.replace("\\", "\\\\")


def regex(pattern: str) -> EnvoyMessage:
    """Returns a matcher of the whole text."""
    return regex_pb2.RegexMatcher(regex=pattern)


def exact(text: str) -> EnvoyMessage:
    """Returns a matcher of this very text."""
    return string_pb2.StringMatcher(exact=text)


def prefix(text: str) -> EnvoyMessage:
    """Returns the matcher of texts that begin so."""
    return string_pb2.StringMatcher(prefix=text)


def string_list(
    *, exact_names: tuple[str, ...] = (), prefixes: tuple[str, ...] = (), patterns: tuple[str, ...] = ()
) -> EnvoyMessage:
    """Returns a matcher of any of the names, prefixes or patterns; names and prefixes in any case."""
    matchers = [string_pb2.StringMatcher(exact=name, ignore_case=True) for name in exact_names]
    matchers += [string_pb2.StringMatcher(prefix=prefix, ignore_case=True) for prefix in prefixes]
    matchers += [string_pb2.StringMatcher(safe_regex=regex(pattern)) for pattern in patterns]
    return string_pb2.ListStringMatcher(patterns=matchers)


def extension(name: str, config: EnvoyMessage) -> bytes:
    """Returns a filter's configuration as it travels by ECDS."""
    return serialise(extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config)))
