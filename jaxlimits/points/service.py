"""Services of several points: machines for prefill and decode apart, and several calls an answer.

Each is a handful of points of the model put together; what one machine does alone is
:func:`jaxlimits.evaluate` with an ``input_len``. All of it is ours.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from jaxlimits import schema
from jaxlimits._types import Scalar
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError, placed, within
from jaxlimits.model.attention import KINDS
from jaxlimits.model.chip import Chip
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.points.named_point import evaluate
from jaxlimits.values import as_written, parse_number

_FORMATS = tuple(field for kind in KINDS for field in kind.cache_formats)
_OF_THE_CACHE = ("kv_bits", "cache_bits", "state_bits", *_FORMATS, "attention_span", "accounting")

_FITS = "fits"

Settings = Mapping[str, object]
"""Fields and switches of a point by name, and ``chip``; for a judge also ``llm``."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Disaggregated:
    """A request that one system prefills and another decodes.

    Parameters
    ----------
    prefill, decode
        The two points.
    kv_bytes
        Cache of one prompt, which goes over the link [B].
    transfer_time
        Time that it takes [s].
    ttft
        Time to the first token, which the prefill gives [s].
    request_latency
        Time to the last token: prefill, transfer, decode [s].
    prefill_share, transfer_share
        Shares of the latency [1].
    prefill_rate, decode_rate
        Requests that each system completes in a second [1/s].
    prefills_per_decode
        Prefill systems that keep one decode system busy [1].
    dollars_per_request
        Cost with both kinds in that proportion, at illustrative prices where none is stated [USD].

    Examples
    --------
    >>> import jaxlimits as jl
    >>> machine = {"chip": "h100", "tp_size": 8}
    >>> apart = jl.disaggregated(
    ...     "llama3-8b", prefill=machine, decode=machine, input_len=1024, output_len=128
    ... )
    >>> apart.ttft < apart.request_latency
    True
    """

    def __repr__(self) -> str:
        rates = f"{self.prefill_rate:.4g} prefills/s, {self.decode_rate:.4g} decodes/s"
        if self.reason != _FITS:
            return f"Disaggregated({self.reason})"
        times = f"ttft={self.ttft:.4g} s, request_latency={self.request_latency:.4g} s"
        return f"Disaggregated({times}, transfer_time={self.transfer_time:.4g} s, {rates})"

    @property
    def reason(self) -> str:
        """Why times and rates are NaN: which system a request does not fit on; ``fits`` if both."""
        return _why_not({"prefill": self.prefill, "decode": self.decode})

    prefill: Metrics
    decode: Metrics
    kv_bytes: Scalar
    transfer_time: Scalar
    ttft: Scalar
    request_latency: Scalar
    prefill_share: Scalar
    transfer_share: Scalar
    prefill_rate: Scalar
    decode_rate: Scalar
    prefills_per_decode: Scalar
    dollars_per_request: Scalar


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that several calls make.

    Parameters
    ----------
    generation, judgement
        The points that write the candidates, and that read them; none where they are only counted.
    latency
        Time until the answer is there [s].
    rate
        Answers in a second, with as many judges as it takes beside the machines that write [1/s].
    dollars_per_answer
        At illustrative prices where none is stated [USD].

    Examples
    --------
    >>> import jaxlimits as jl
    >>> answer = jl.best_of(4, "llama3-8b", "h100", input_len=1024, output_len=128)
    >>> answer.latency > 0.0
    True
    """

    def __repr__(self) -> str:
        if self.reason != _FITS:
            return f"Answer({self.reason})"
        judged = "" if self.judgement is None else ", judged"
        cost = f"dollars_per_answer={self.dollars_per_answer:.4g} USD"
        return f"Answer(latency={self.latency:.4g} s, rate={self.rate:.4g} Hz, {cost}{judged})"

    @property
    def reason(self) -> str:
        """Why times and rates are NaN: which calls do not fit; ``fits`` where all do."""
        judged = {} if self.judgement is None else {"judgement": self.judgement}
        return _why_not({"generation": self.generation, **judged})

    generation: Metrics
    judgement: Metrics | None
    latency: Scalar
    rate: Scalar
    dollars_per_answer: Scalar


@placed("disaggregated")
def disaggregated(
    llm: str | LLM,
    *,
    prefill: Settings,
    decode: Settings,
    input_len: int,
    output_len: int,
    link_bw: object = "50 GB/s",
    link_latency: object = "10 us",
    catalog: Catalog | None = None,
) -> Disaggregated:
    r"""Prefill on one system, send the cache over a link, decode on another.

    .. math:: t = t_\mathrm{prefill} + \alpha + \frac{K_I}{w} + (O - 1)\,\tau_\mathrm{decode}

    The whole cache of the prompt goes once, after the prefill (layer by layer it would hide behind
    it: the transfer is an upper bound, the rest a limit).

    Parameters
    ----------
    llm
        Model, by its name in the catalog or as a record.
    prefill, decode
        ``chip`` and any field or switch of each system, as for :func:`jaxlimits.evaluate`.
    input_len, output_len
        Tokens of the prompt and of the answer.
    link_bw, link_latency
        One-way rate of the link between the two systems for one request, and its latency. The
        defaults are ours: one port of 400 Gb/s.
    catalog
        Where names are looked up; the shipped one by default.

    Raises
    ------
    InputError
        As :func:`jaxlimits.evaluate`; a setting that belongs to the request.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> both = jl.disaggregated(
    ...     "llama3-70b",
    ...     prefill={"chip": "h100", "tp_size": 4},
    ...     decode={"chip": "h200", "tp_size": 8, "batch_size": 32},
    ...     input_len=8192,
    ...     output_len=1024,
    ... )
    >>> round(1e3 * both.transfer_time, 1)
    26.9
    """
    rate = _number("link_bw", link_bw, key="link_bw")
    latency = _number("sync_latency", link_latency, key="link_latency")
    lengths = {"input_len": input_len, "output_len": output_len}
    with within("prefill"):
        first = _point(llm, prefill, {**lengths, "output_len": 1}, catalog=catalog)
    with within("decode"):
        rest = _point(llm, decode, lengths, catalog=catalog)
    cache = _prompt_bytes(llm, prefill, input_len, catalog=catalog)
    transfer = latency + cache / rate
    decoding = rest.request_latency - rest.ttft
    decode_rate = rest.users / decoding if decoding else math.inf
    total = first.ttft + transfer + decoding
    per_second = rest.dollars_per_request * rest.request_rate
    return Disaggregated(
        prefill=first,
        decode=rest,
        kv_bytes=cache,
        transfer_time=transfer,
        ttft=first.ttft,
        request_latency=total,
        prefill_share=first.ttft / total,
        transfer_share=transfer / total,
        prefill_rate=first.request_rate,
        decode_rate=decode_rate,
        prefills_per_decode=decode_rate / first.request_rate,
        dollars_per_request=first.dollars_per_request + per_second / decode_rate,
    )


@placed("best_of")
def best_of(
    calls: int,
    llm: str | LLM,
    chip: str | Chip,
    *,
    judge: Settings | None = None,
    input_len: int,
    output_len: int,
    catalog: Catalog | None = None,
    **settings: object,
) -> Answer:
    r"""The best of several answers to one prompt, or the one on which most of them agree.

    .. math::
        t = t_\mathrm{request}(N) + \frac{N}{b\,\mathrm{dp}\,\mathrm{pp}}\,t_\mathrm{judge}(I + O)

    All candidates come of one prefill and are decoded at once where the batch has room. Voting
    counts them, which takes no time. A judge reads the prompt and each candidate, prefilling
    :math:`b` of them together, and gives one token for each.

    Parameters
    ----------
    calls
        Candidates N.
    llm, chip
        What writes them, by names in the catalog or as records.
    judge
        ``llm``, ``chip`` and fields of what reads them; none for voting.
    input_len, output_len
        Tokens of the prompt and of one candidate.
    catalog
        Where names are looked up; the shipped one by default.
    **settings
        Any field or switch of the machine that writes.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> lengths = {"input_len": 1024, "output_len": 512}
    >>> vote = jl.best_of(8, "llama3-8b", "h100", batch_size=32, **lengths)
    >>> judged = jl.best_of(
    ...     *(8, "llama3-8b", "h100"),
    ...     judge={"llm": "llama3-70b", "chip": "h100", "tp_size": 4},
    ...     batch_size=32,
    ...     **lengths,
    ... )
    >>> judged.latency > vote.latency and judged.dollars_per_answer > vote.dollars_per_answer
    True
    """
    lengths = {"input_len": input_len, "output_len": output_len, "calls_per_answer": calls}
    own = {"chip": chip, **settings}
    writing = _point(llm, own, lengths, catalog=catalog)
    if judge is None:
        return Answer(
            generation=writing,
            judgement=None,
            latency=writing.request_latency,
            rate=writing.request_rate,
            dollars_per_answer=writing.dollars_per_request,
        )
    if "llm" not in judge:
        remedy = "write judge={'llm': 'llama3-70b', ...}"
        raise InputError("names no llm", key="judge", remedy=remedy)
    named: Any = judge["llm"]
    rest = {name: value for name, value in judge.items() if name != "llm"}
    read = {"input_len": input_len + output_len, "output_len": 1}
    with within("judge"):
        reading = _point(named, rest, read, catalog=catalog)
    batch_size, prompts = (
        _number(n, rest.get(n, 1), key=n) for n in ("batch_size", "prefill_batch")
    )
    lanes = reading.users / batch_size * prompts
    return Answer(
        generation=writing,
        judgement=reading,
        latency=writing.request_latency + reading.ttft * max(calls / lanes, 1.0),
        rate=writing.request_rate,
        dollars_per_answer=writing.dollars_per_request + calls * reading.dollars_per_request,
    )


def _point(
    llm: str | LLM,
    settings: Settings,
    lengths: Mapping[str, object],
    *,
    catalog: Catalog | None,
) -> Metrics:
    """One point of a service, in double precision."""
    if "chip" not in settings:
        raise InputError("names no chip", remedy="write {'chip': 'h100', ...}")
    for name in lengths:
        if name in settings:
            remedy = "give it once, to the service"
            raise InputError(
                "belongs to the request", key=name, value=settings[name], remedy=remedy
            )
    own = {name: value for name, value in settings.items() if name != "chip"}
    chip: Any = settings["chip"]
    return evaluate(llm, chip, catalog=catalog, x64=True, **own, **lengths)


def _why_not(points: Mapping[str, Metrics]) -> str:
    """Say which of some points does not fit, and by how much."""
    full = [
        f"{name} needs {point.capacity_utilisation:.2f} × the usable memory"
        for name, point in points.items()
        if not point.feasible
    ]
    return f"does not fit: {', '.join(full)}" if full else _FITS


def _number(field: str, raw: object, *, key: str) -> float:
    """A number that is meant as one of a field is."""
    return parse_number(schema.FIELDS[field], as_written(raw, key=key), key=key)


def _prompt_bytes(
    llm: str | LLM, settings: Settings, input_len: int, *, catalog: Catalog | None
) -> Scalar:
    """Cache of one prompt, without copies [B]."""
    kept = {name: settings[name] for name in _OF_THE_CACHE if name in settings}
    alone = {"chip": settings["chip"], **kept}
    return _point(llm, alone, {"seq_len": input_len}, catalog=catalog).kv_bytes
