"""Compression of answers: one filter for each content coding.

In: ir.Compression. Out: filters. Called by edge. Source: Envoy, "Compressor". The coding is the client's choice by
quality values; of those that it likes alike the first algorithm, and without that the first of its own list.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import (
    EnvoyMessage,
    brotli_pb2,
    compressor_pb2,
    extension_pb2,
    gzip_pb2,
    http_connection_manager_pb2,
    zstd_pb2,
)
from .wire import pack, uint32

_QUALITY = 4
"""Of brotli: of 0 to 11, what gives most of the gain at a tenth of the time of the highest."""
_LIBRARIES = {
    "gzip": ("envoy.compression.gzip.compressor", gzip_pb2.Gzip()),
    "br": ("envoy.compression.brotli.compressor", brotli_pb2.Brotli(quality=uint32(_QUALITY))),
    "zstd": ("envoy.compression.zstd.compressor", zstd_pb2.Zstd()),
}


def compression_filters(compression: ir.Compression | None) -> list[EnvoyMessage]:
    """Returns the filters. One alone says `choose_first`: of several, the client's last one would be chosen."""
    if compression is None:
        return []
    preferred = compression.algorithms[0]
    return [compression_filter(name, compression, first=name == preferred) for name in compression.algorithms]


def compression_filter(coding: str, compression: ir.Compression, *, first: bool) -> EnvoyMessage:
    """Returns the filter of one coding."""
    name, library = _LIBRARIES[coding]
    common = compressor_pb2.Compressor.CommonDirectionConfig(
        min_content_length=uint32(compression.min_bytes), content_type=compression.content_types
    )
    config = compressor_pb2.Compressor(
        compressor_library=extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(library)),
        response_direction_config=compressor_pb2.Compressor.ResponseDirectionConfig(common_config=common),
        choose_first=first,
    )
    return http_connection_manager_pb2.HttpFilter(name=f"compression.{coding}", typed_config=pack(config))
