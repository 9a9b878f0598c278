"""What one tab shows and does: its state, and what is computed from it. Nothing of Panel."""

import dataclasses
import math
from collections.abc import Callable, Mapping

from jaxlimits import schema, units
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.explorer.links import query_of, state_of
from jaxlimits.explorer.needs import Needs, needs_of
from jaxlimits.explorer.network import Network, network_of
from jaxlimits.explorer.plan_question import Asked, asked_of
from jaxlimits.explorer.points import Map, Point, map_of, point_of, values_of
from jaxlimits.explorer.slider_scales import scale_of
from jaxlimits.explorer.start import Start
from jaxlimits.explorer.state import Side, Span, State, Switch, as_text, check_state
from jaxlimits.explorer.views import value_at


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """All that follows from a state but the needs, which take a moment."""

    state: State
    points: Mapping[Side, Point]
    maps: Mapping[Side, Map]
    said: str


class Session:
    """The state of one tab, changed by what its user does.

    Parameters
    ----------
    begun
        What the explorer starts with.
    query
        Of the link by which the tab was opened; one that cannot be is said, and left.
    """

    def __init__(self, begun: Start, query: str = ""):
        self.catalog: Catalog = begun.catalog
        self.said = ""
        self.state = begun.state
        self._begun = begun.state
        try:
            self.state = state_of(query, default=begun.state)
        except InputError as error:
            self.said = f"the link cannot be shown: {error}"

    @property
    def sides(self) -> tuple[Side, ...]:
        """The machines there are."""
        return ("a", "b") if self.state.is_compared else ("a",)

    @property
    def query(self) -> str:
        """The query of the link that brings this back."""
        return query_of(self.state)

    def set(self, side: Side, name: str, text: str | None) -> bool:
        """Set a value, or leave it to the catalog; whether it could be."""
        if text is None and name in schema.REQUIRED:
            return False
        return self._become(lambda: self.state.setting(side, name, text))

    def compare(self, chip: str | None) -> bool:
        """Put a second machine beside the first, or take it away."""
        other = {} if chip is None else {"chip": chip}
        return self._become(lambda: dataclasses.replace(self.state, other=other))

    def span(self, key: str, span: Span) -> bool:
        """Lay another axis under the map."""
        return self._become(lambda: dataclasses.replace(self.state, **{key: span}))

    def turn(self, key: str, name: str) -> bool:
        """Lay a field along an axis, between what its slider spans near where it stands."""
        spans = {"x": self.state.x, "y": self.state.y}
        other = spans["y" if key == "x" else "x"]
        if name == other.name:  # the axes change places
            swapped = {"x": self.state.y, "y": self.state.x}
            return self._become(lambda: dataclasses.replace(self.state, **swapped))
        return self.span(key, self._usual_span(name))

    def aim(self, metric: str, target: str) -> bool:
        """Set the target."""
        return self._become(lambda: dataclasses.replace(self.state, aim=metric, target=target))

    def show_metric(self, metric: str) -> bool:
        """Show another metric on the map."""
        return self._become(lambda: dataclasses.replace(self.state, metric=metric))

    def show_lines(self, shown: bool) -> bool:
        """Draw iso-lines on the map, or none."""
        lines: Switch = "on" if shown else "off"
        return self._become(lambda: dataclasses.replace(self.state, iso_lines=lines))

    def tap(self, side: Side, across: float, up: float) -> bool:
        """Move a machine's point to a place of the map."""

        def moved() -> State:
            state = self.state
            for span, place in ((state.x, across), (state.y, up)):
                unit = schema.FIELDS[span.name].unit
                texts = scale_of(span.name, value_at(span, place))
                near = texts.nearest(value_at(span, place))
                text = texts.texts[near] if texts.texts else as_text(value_at(span, place), unit)
                state = state.setting(side, span.name, text)
            return state

        return self._become(moved)

    def reset(self) -> bool:
        """Go back to what the explorer started with."""
        return self._become(lambda: self._begun)

    def shown(self) -> Shown:
        """Compute all that is shown."""
        return Shown(
            state=self.state,
            points={side: point_of(self.state, side, self.catalog) for side in self.sides},
            maps={side: map_of(self.state, side, self.catalog) for side in self.sides},
            said=self.said,
        )

    def needs(self) -> dict[Side, Needs]:
        """Compute what each machine needs to reach the target."""
        return {side: needs_of(self.state, side, self.catalog) for side in self.sides}

    def network(self, side: Side) -> Network:
        """Take the step of a machine apart into its operators."""
        return network_of(self.state, side, self.catalog)

    def plan_question(self) -> Asked:
        """Return the question with which a plan begins: the model and the machines of the state."""
        return asked_of(self.state)

    def values(self, side: Side) -> dict[str, float]:
        """Return every field's value of a machine [SI]; none where a name is not known."""
        return values_of(self.state, side, self.catalog)

    def usual_target(self, metric: str) -> str:
        """Return the target of a metric that stands for no change: what machine A reaches."""
        metrics = point_of(self.state, "a", self.catalog).metrics
        info = schema.OUTPUTS[metric]
        reached = float("nan") if metrics is None else float(getattr(metrics, metric))
        if not math.isfinite(reached) or not info.admits(reached):
            return units.example(info.unit)
        return units.show(reached, info.unit, digits=3)

    def centres(self, side: Side) -> dict[str, float]:
        """Return what the catalog and the defaults state for every field of a machine."""
        named = {n: text for n, text in self.state.of(side).items() if n in schema.NAMED}
        plain = dataclasses.replace(self.state, settings=named, other={})
        return values_of(plain, "a", self.catalog)

    def _usual_span(self, name: str) -> Span:
        values = self.values("a")
        info = schema.FIELDS[name]
        scale = scale_of(name, values.get(name, 1.0))
        near = scale.nearest(values.get(name, 1.0))
        reach = max(len(scale.texts) // 4, 8)
        first, last = max(near - reach, 0), min(near + reach, len(scale.texts) - 1)
        linear = scale.values[first] <= 0.0
        if linear and not info.allowed and scale.values[-1] > 1.0:
            first, linear = first + 1, False
        return Span(
            name=name,
            first=scale.texts[first],
            last=scale.texts[last],
            spacing="linear" if linear else "geometric",
        )

    def _become(self, change: Callable[[], State]) -> bool:
        """Take a new state if it can be; else say why not and keep the old."""
        try:
            state = change()
            check_state(state)
        except InputError as error:
            self.said = str(error)
            return False
        self.said, self.state = "", state
        return True
