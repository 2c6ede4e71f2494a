"""Intermediate representation to the decision services' snapshot (snapshot.proto).

In: a Delta. Out: a DecisionDelta with the named, content-versioned resources that changed. Called by the operator,
which publishes it; emit/envoy calls `plan_name` and `select_value` to lead requests to the same plans.
"""

from .emitter import DecisionDelta, DecisionEmitter
from .route import plan_name, select_value

__all__ = ["DecisionDelta", "DecisionEmitter", "plan_name", "select_value"]
