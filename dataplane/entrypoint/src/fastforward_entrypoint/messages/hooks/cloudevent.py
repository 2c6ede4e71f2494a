"""An event as CloudEvents 1.0 has it, in JSON, with its content as it is.

In: the event's envelope and the Route that tells it. Out: bytes, which are signed and posted. Called by telling.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from fastforward_pipeline.message import is_json

from fastforward.message.v1 import envelope_pb2

MEDIA_TYPE = "application/cloudevents+json"


def write_event(event: envelope_pb2.Envelope, route: str, now: float) -> bytes:
    """Returns the JSON; `route` is NAMESPACE/NAME, `now` Unix time. JSON content is there already in canonical form."""
    header, payload = event.header, event.payload
    attributes = {
        "specversion": "1.0",
        "id": header.id,
        "source": f"/routes/{route}",
        "type": header.type,
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "tenant": header.tenant,
        "causationid": header.causation_id,
        "traceparent": header.trace.traceparent,
        "tracestate": header.trace.tracestate,
        "datacontenttype": payload.media_type,
    }
    head = json.dumps({name: value for name, value in attributes.items() if value}, separators=(",", ":"))
    if not payload.body:
        return head.encode()
    if is_json(payload.media_type):
        data = b'"data":' + payload.body
    else:
        data = b'"data_base64":"' + base64.b64encode(payload.body) + b'"'
    return head[:-1].encode() + b"," + data + b"}"
