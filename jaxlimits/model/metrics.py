"""The result record: everything the model says of one point."""

import enum

import equinox as eqx

from jaxlimits._types import Code, Flag, Scalar
from jaxlimits.model.brief import enclosed, named_values
from jaxlimits.model.fields import documented, metric


class Limit(enum.IntEnum):
    """What sets the time of a step; stored as int8 with CF flag meanings.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> point = jl.evaluate("llama3-8b", "h100")
    >>> jl.Limit(point.limit).name
    'MEMORY'
    """

    NOT_COMPUTED = -1
    MEMORY = 0
    COMPUTE = 1
    SYNC = 2
    CAPACITY = 3


REQUESTED = ("ttft", "request_latency", "prefill_share", "request_rate", "dollars_per_request")
REQUESTED += ("dollars_per_input_token", "dollars_per_output_token", "worst_tpot")
"""Metrics of a request; they say nothing where none is stated."""


OF_THE_PREFILL = ("ttft", "dollars_per_input_token")
"""Metrics of a request on which no decode step has any part: what binds is what binds the prefill.
"""


def _provisioned(meaning: str) -> str:
    """A meaning that owns up to its die areas, and says whose power it is."""
    return f"{meaning}, provisioned on assumed die areas where none is stated, or by activity"


def _priced(meaning: str) -> str:
    """A meaning that owns up to its prices."""
    return f"{meaning}, at illustrative prices where none is stated"


_TIMES = ("t_step", "t_mem", "t_compute", "t_sync")


def _word(code: Code) -> str:
    """A code in words, where it is known."""
    return Limit(code).name.lower() if isinstance(code, int) else str(code)


@documented
class Metrics(eqx.Module):
    """One point of the limit study.

    Volumes are those of one replica; rates, power and cost those of the system. A point that does
    not fit in memory is data: its times, rates and per-token figures are NaN, the rest stands.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> point = jl.evaluate("llama3-8b", "h100")
    >>> point.feasible, point.t_step > point.t_compute
    (True, True)
    """

    def __repr__(self) -> str:
        told = named_values(self, ("utps", "stps", "tpot", *_TIMES, "bytes_per_chip"))
        return enclosed(self, [*told, f"limit={_word(self.limit)}", f"feasible={self.feasible}"])

    t_compute: Scalar = metric("s", "time of the arithmetic of one step", display="ms")
    t_mem: Scalar = metric("s", "time to stream the bytes of one step", display="ms")
    t_sync: Scalar = metric("s", "exposed synchronisation of one step", display="ms")
    t_sync_latency: Scalar = metric(
        "s", "exposed synchronisation of one step that no payload changes", display="ms"
    )
    t_sync_payload: Scalar = metric(
        "s", "exposed synchronisation of one step that is in proportion to payloads", display="ms"
    )
    t_step: Scalar = metric("s", "time of one decode step", display="ms")
    utps: Scalar = metric("token/s", "tokens per second of one user")
    stps: Scalar = metric("token/s", "tokens per second of the system")
    tpot: Scalar = metric("s/token", "time per output token of one user", display="ms/token")
    weight_bytes: Scalar = metric("B", "weights stored by one replica", display="GB")
    kv_bytes: Scalar = metric(
        "B", "KV cache, index keys and states stored by one replica", display="GB"
    )
    bytes_per_chip: Scalar = metric("B", "weights and KV cache stored by one chip", display="GB")
    weight_traffic: Scalar = metric(
        "B", "weights read in one step by one replica, at its slowest rank's pace", display="GB"
    )
    kv_traffic: Scalar = metric(
        "B",
        "KV cache and index keys read in one step by one replica, states also written",
        display="GB",
    )
    flops: Scalar = metric(
        "FLOP",
        "tensor work of one step of one replica, at its slowest rank's pace",
        display="TFLOP",
    )
    tp_collectives: Scalar = metric("1", "tensor-parallel collectives in one step")
    ep_collectives: Scalar = metric("1", "expert-parallel all-to-alls in one step")
    pp_hops: Scalar = metric("1", "hops between pipeline stages in one step")
    tp_volume: Scalar = metric(
        "B/token", "bytes that a replica's tensor-parallel collectives send", display="kB/token"
    )
    ep_volume: Scalar = metric(
        "B/token", "bytes that a replica's expert-parallel all-to-alls send", display="kB/token"
    )
    pp_volume: Scalar = metric(
        "B/token", "bytes that a replica's pipeline stages send on", display="kB/token"
    )
    batch_capacity: Scalar = metric("1", "micro-batch that fills the memory, not rounded")
    max_batch_size: Scalar = metric("1", "largest micro-batch that fits in memory")
    feasible: Flag = metric("1", "whether weights and KV cache fit in memory")
    limit: Code = metric("1", "what sets the time of a step")
    next_limit: Code = metric("1", "what sets it once that is out of the way")
    limit_factor: Scalar = metric("1", "factor on what sets the time until something else does")
    compute_to_memory: Scalar = metric("1", "time of the arithmetic over that of memory")
    sync_to_work: Scalar = metric("1", "synchronisation over the longer of memory and compute")
    capacity_utilisation: Scalar = metric("1", "share of the usable memory that is filled")
    bandwidth_utilisation: Scalar = metric("1", "share of the peak bandwidth that is used")
    flops_utilisation: Scalar = metric("1", "share of the peak tensor rate that is used")
    num_chips: Scalar = metric("1", "chips of the system")
    users: Scalar = metric("1", "sequences in flight in the system")
    stps_per_chip: Scalar = metric("token/s", "tokens per second of the system by chip")
    power: Scalar = metric("W", _provisioned("power of the system"), display="kW")
    energy_per_token: Scalar = metric("J/token", _provisioned("energy per token"))
    stps_per_watt: Scalar = metric("token/J", _provisioned("system throughput by power"))
    capital_cost: Scalar = metric("USD", _priced("price of the system"))
    cost_rate: Scalar = metric("USD/s", _priced("cost of the system by time"), display="USD/h")
    dollars_per_token: Scalar = metric(
        "USD/token", _priced("cost of a token"), display="USD/Mtoken"
    )
    stps_per_dollar: Scalar = metric(
        "token/USD", _priced("tokens for a dollar"), display="Mtoken/USD"
    )
    ttft: Scalar = metric("s", "time to a request's first token", display="ms")
    request_latency: Scalar = metric("s", "time to the last token of a request")
    prefill_share: Scalar = metric("1", "share of a request's time until its first token")
    request_rate: Scalar = metric("Hz", "requests that the system completes by time")
    dollars_per_request: Scalar = metric("USD", _priced("cost of a request"))
    dollars_per_input_token: Scalar = metric(
        "USD/token",
        _priced("cost of a request's prefill by token of its prompt"),
        display="USD/Mtoken",
    )
    dollars_per_output_token: Scalar = metric(
        "USD/token",
        _priced("cost of a request's decode steps by token of its answers"),
        display="USD/Mtoken",
    )
    worst_tpot: Scalar = metric(
        "s/token",
        "time of one output token of a step that carries a whole chunk of a prompt",
        display="ms/token",
    )
    calibrated_t_step: Scalar = metric(
        "s", "time of one decode step that a calibration predicts", display="ms"
    )
    calibrated_utps: Scalar = metric(
        "token/s", "tokens per second of one user that a calibration predicts"
    )
    calibrated_utps_lower: Scalar = metric("token/s", "lower end of the prediction's 95 % interval")
    calibrated_utps_upper: Scalar = metric("token/s", "upper end of the prediction's 95 % interval")
    calibrated_stps: Scalar = metric(
        "token/s", "tokens per second of the system that a calibration predicts"
    )
