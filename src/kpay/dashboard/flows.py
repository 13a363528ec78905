"""Flows of money between countries: sums by where it came from and went to, and their picture.

The picture has the countries that money left on the left and those where it arrived on the right;
a band is as thick as what went along it is worth in one currency. The same stands in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from kpay.core.money import Money
from kpay.wallets.model import Crossing

BAR = 8
# So that two names, of two lines each, never touch each other.
_PITCH = 64
_GAP = 14
_THINNEST = 3


class Frame(msgspec.Struct, frozen=True):
    """How wide the picture is and where its two bars stand; the countries' names are outside."""

    width: int
    left: int
    right: int


WIDE, NARROW = Frame(640, 190, 450), Frame(360, 132, 222)


class Flow(msgspec.Struct, frozen=True):
    """All that went from one country to another."""

    source: str
    destination: str
    transfers: int
    payouts: int
    left: Money
    arrived: Money
    worth: Money | None
    """What left, in the currency that the picture is in; None where there is no rate for it."""


class Node(msgspec.Struct, frozen=True):
    """A country on one side of the picture."""

    country: str
    worth: Money
    y: int
    height: int

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


class Band(msgspec.Struct, frozen=True):
    """A flow as it is drawn."""

    flow: Flow
    path: str


class Picture(msgspec.Struct, frozen=True):
    """The drawing, as wide as its frame."""

    frame: Frame
    height: int
    sources: Sequence[Node]
    destinations: Sequence[Node]
    bands: Sequence[Band]


def together(
    transfers: Iterable[Crossing],
    payouts: Iterable[Crossing],
    worth: Callable[[Money], Money | None],
) -> list[Flow]:
    """Both kinds added up by source and destination, what is worth most first."""
    found: dict[tuple[str, str], tuple[int, int, Money, Money]] = {}
    for kind, crossings in enumerate((transfers, payouts)):
        for each in crossings:
            key = each.source, each.destination
            nothing = (0, 0, Money(0, each.left.currency), Money(0, each.arrived.currency))
            of_transfers, of_payouts, left, arrived = found.get(key, nothing)
            found[key] = (
                of_transfers + (0 if kind else each.count),
                of_payouts + (each.count if kind else 0),
                left + each.left,
                arrived + each.arrived,
            )
    flows = [
        Flow(source, destination, of_transfers, of_payouts, left, arrived, worth(left))
        for (source, destination), (of_transfers, of_payouts, left, arrived) in found.items()
    ]
    return sorted(flows, key=lambda flow: -(flow.worth.minor if flow.worth else 0))


def picture(flows: Sequence[Flow], frame: Frame = WIDE) -> Picture | None:
    """The flows that have a worth, drawn; None where there is none."""
    drawn = [flow for flow in flows if flow.worth is not None and flow.worth.minor > 0]
    if not drawn:
        return None
    sources = _sums((flow.source, flow.worth) for flow in drawn)
    destinations = _sums((flow.destination, flow.worth) for flow in drawn)
    total = sum(worth.minor for worth in sources.values())
    room = max(140, 56 * max(len(sources), len(destinations)))

    def thickness(worth: Money) -> int:
        return max(_THINNEST, room * worth.minor // total)

    left = _stack(sources, dict.fromkeys(sources, 0), drawn, thickness, outgoing=True)
    right = _stack(destinations, dict.fromkeys(destinations, 0), drawn, thickness, outgoing=False)
    height = max(_end(left), _end(right))
    left, right = _centred(left, height), _centred(right, height)
    bands = _bands(drawn, left, right, thickness, frame)
    return Picture(frame, height, left, right, bands)


def _sums(parts: Iterable[tuple[str, Money | None]]) -> dict[str, Money]:
    """What each country comes to, the largest first."""
    sums: dict[str, Money] = {}
    for country, worth in parts:
        if worth is not None:
            sums[country] = sums[country] + worth if country in sums else worth
    return dict(sorted(sums.items(), key=lambda pair: -pair[1].minor))


def _stack(
    sums: dict[str, Money],
    heights: dict[str, int],
    flows: Sequence[Flow],
    thickness: Callable[[Money], int],
    *,
    outgoing: bool,
) -> list[Node]:
    """One side, from above: each as high as its bands together, its name with room of its own."""
    for flow in flows:
        if flow.worth is not None:
            heights[flow.source if outgoing else flow.destination] += thickness(flow.worth)
    nodes, y = [], 0
    for country, worth in sums.items():
        height = heights[country]
        slot = max(height + _GAP, _PITCH)
        nodes.append(Node(country, worth, y + (slot - height) // 2, height))
        y += slot
    return nodes


def _end(nodes: Sequence[Node]) -> int:
    """How much room a side takes, names and all."""
    return sum(max(node.height + _GAP, _PITCH) for node in nodes)


def _centred(nodes: Sequence[Node], height: int) -> list[Node]:
    down = (height - _end(nodes)) // 2
    return [msgspec.structs.replace(node, y=node.y + down) for node in nodes]


def _bands(
    flows: Sequence[Flow],
    sources: Sequence[Node],
    destinations: Sequence[Node],
    thickness: Callable[[Money], int],
    frame: Frame,
) -> list[Band]:
    """Each from its place at its source to its place at its destination, in the sides' order."""
    outs = {node.country: node.y for node in sources}
    ins = {node.country: node.y for node in destinations}
    order = [node.country for node in sources], [node.country for node in destinations]
    begins, ends = {}, {}
    by_source = sorted(
        flows, key=lambda flow: (order[0].index(flow.source), order[1].index(flow.destination))
    )
    by_destination = sorted(
        flows, key=lambda flow: (order[1].index(flow.destination), order[0].index(flow.source))
    )
    for flow in by_source:
        begins[flow.source, flow.destination] = outs[flow.source]
        outs[flow.source] += thickness(flow.worth) if flow.worth else 0
    for flow in by_destination:
        ends[flow.source, flow.destination] = ins[flow.destination]
        ins[flow.destination] += thickness(flow.worth) if flow.worth else 0
    return [
        Band(flow, _path(begins[key], ends[key], thickness(flow.worth), frame))
        for flow in flows
        if flow.worth is not None and (key := (flow.source, flow.destination))
    ]


def _path(begin: int, end: int, thick: int, frame: Frame) -> str:
    """A band between the two bars, flat at both ends."""
    x, far = frame.left + BAR, frame.right
    bend = (x + far) // 2
    return (
        f"M{x} {begin}C{bend} {begin} {bend} {end} {far} {end}V{end + thick}"
        f"C{bend} {end + thick} {bend} {begin + thick} {x} {begin + thick}Z"
    )
