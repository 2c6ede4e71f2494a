"""Pure evaluator of the eight stages over the wire snapshot.

    snapshot = Snapshot.empty().apply(resources)
    decision = run(decide(snapshot, request), TokenBuckets(), now=request.now)

Called by EntryPoint (live requests), by the CLI (`explain`, `test`, `diff`) and by the tests.
"""

from .buckets import TokenBuckets
from .compiled.route import Candidate
from .decision import Decision, LimitState, Refusal
from .effects import (
    Answer,
    AskService,
    Bucket,
    DrawBytes,
    Drawn,
    Effect,
    Level,
    Proof,
    Question,
    RedeemCode,
    Redeemed,
    ServiceAnswer,
    TakeTokens,
    Unavailable,
    Verdict,
    VerifyPassword,
)
from .evaluate import decide, run
from .problem import problem_json
from .reason import FACTS, Reason
from .request import Request, make_headers
from .snapshot import Snapshot, SnapshotError
from .stages.dispatch import UpstreamRequest, client_headers, upstream_request
from .stages.normalization import EscapedSlashes, normalize
from .trail import Trail

__all__ = [
    "FACTS",
    "Answer",
    "AskService",
    "Bucket",
    "Candidate",
    "Decision",
    "DrawBytes",
    "Drawn",
    "Effect",
    "EscapedSlashes",
    "Level",
    "LimitState",
    "Proof",
    "Question",
    "Reason",
    "RedeemCode",
    "Redeemed",
    "Refusal",
    "Request",
    "ServiceAnswer",
    "Snapshot",
    "SnapshotError",
    "TakeTokens",
    "TokenBuckets",
    "Trail",
    "Unavailable",
    "UpstreamRequest",
    "Verdict",
    "VerifyPassword",
    "client_headers",
    "decide",
    "make_headers",
    "normalize",
    "problem_json",
    "run",
    "upstream_request",
]
