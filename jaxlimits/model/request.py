"""The request record: what one user asks, from the prompt to the last token of the answer."""

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity


@documented
class Request(eqx.Module):
    """One request: a prompt that is prefilled, and an answer that is decoded token by token.

    ``input_len`` 0 states no request; the metrics of a request are then NaN. All of it is ours.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> request = jl.Request(input_len=2048.0, output_len=256.0)
    >>> float(request.output_len)
    256.0
    """

    input_len: Scalar = quantity(
        "token", "tokens of a request's prompt; 0 where none is stated", default=0.0, whole=True
    )
    output_len: Scalar = quantity(
        "token", "tokens of one answer", default=1.0, positive=True, whole=True
    )
    prefill_chunk: Scalar = quantity(
        "token",
        "tokens of a prompt that are computed at once; 0 for all of them",
        default=0.0,
        whole=True,
    )
    prefix_share: Scalar = quantity(
        "1", "share of a prompt that is reused from a cache", default=0.0, upper=1.0
    )
    prefill_batch: Scalar = quantity(
        "1", "prompts that are prefilled together", default=1.0, positive=True, whole=True
    )
    calls_per_answer: Scalar = quantity(
        "1",
        "answers decoded from one prompt for one request",
        default=1.0,
        positive=True,
        whole=True,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)


NO_REQUEST = Request()
