"""Messages: the eight stages in and the five out, over the envelope, with no input or output of their own."""

from fastforward_pipeline.idempotency import SAFE, derive_key

from .content import is_json
from .failure import LISTENED_TO, error_status, known_reason, make_error, refuse
from .gather import claim_of, join, part_of
from .inbound import tell_again
from .intake import ENTRY, Intake, Operation
from .outbound import keep, make_acceptance, make_event
from .passage import (
    MESSAGE_ID,
    ONCE_S,
    UNKNOWN,
    Answered,
    Asks,
    Begin,
    Beginning,
    Claim,
    Effect,
    Failed,
    Finish,
    Outcome,
    Passage,
    Recorder,
    Replied,
    answer_headers,
    lease_s,
    open_passage,
)
from .port import Exchange, why_ended
from .preference import preferred_wait_s
from .remote import TAKES, RuleUnknownError, process_here, take_over
from .seal import Seal, make_verifier
from .stages import DISPATCH, IN, INBOUND, OUT, OUTBOUND, Inbound, Outbound
