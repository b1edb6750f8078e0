"""Suiting: the scheduler's hard rules, whether a Pod may run on a node. Pure.

Source: kube-scheduler's filters NodeAffinity, TaintToleration, NodeUnschedulable and NodeResourcesFit, and
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/ and .../taint-and-toleration/.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from cleanhours.domain.resources import Demand
from cleanhours_plugins.clusters.kubernetes.nodes import HOSTNAME, NodeRecord, Taint
from cleanhours_plugins.clusters.kubernetes.records import PodSet

Selector = Mapping[str, Any]
"""A `NodeSelector`: {nodeSelectorTerms: [{matchExpressions, matchFields}]}, terms ORed, expressions ANDed."""

_CORDONED: Final = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


def suits(pods: PodSet, node: NodeRecord, *, besides: Collection[str] = ()) -> bool:
    """Whether one Pod of the set may run on the node if it were empty.

    `besides` are keys of nodeSelector that do not count: a placement overwrites them.
    """
    return (
        node.pool.ready
        and _fits(pods.one, node.pool.allocatable)
        and all(node.label(key) == value for key, value in pods.selector.items() if key not in besides)
        and matches((pods.affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution"), node)
        and _tolerates_all(pods.tolerations, node)
    )


def matches(selector: Selector | None, node: NodeRecord) -> bool:
    """Whether any term holds; no selector at all asks for nothing, a selector without terms matches nothing."""
    if selector is None:
        return True
    return any(_term_holds(term, node) for term in selector.get("nodeSelectorTerms") or ())


def asks_for_one_node(pods: PodSet, *selectors: Selector) -> bool:
    """Whether host names or fields decide, so that nodes of one pool are not all alike to it."""
    required = (pods.affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = [
        term
        for selector in (required, *selectors)
        for term in (selector or {}).get("nodeSelectorTerms") or ()
    ]
    return HOSTNAME in pods.selector or any(
        term.get("matchFields") or any(one["key"] == HOSTNAME for one in term.get("matchExpressions") or ())
        for term in terms
    )


def _term_holds(term: Mapping[str, Any], node: NodeRecord) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False  # a term that says nothing matches nothing
    return all(holds(one, node.label(one["key"])) for one in expressions) and all(
        holds(one, node.name if one["key"] == "metadata.name" else None) for one in fields
    )


def holds(expression: Mapping[str, Any], found: str | None) -> bool:
    """Whether an expression holds for a label's value, None where there is no such label."""
    test = _TESTS.get(expression["operator"])
    return test is not None and test(found, expression.get("values") or ())


def _whole(text: str | None) -> int | None:
    """As Go's ParseInt reads it: a sign and digits, nothing else."""
    digits = (
        (text or "").removeprefix("-") if (text or "").startswith("-") else (text or "").removeprefix("+")
    )
    return int(text or "0") if digits.isascii() and digits.isdigit() else None


def _compared(test: Callable[[int, int], bool]) -> Callable[[str | None, Any], bool]:
    def decide(found: str | None, values: Any) -> bool:
        left, right = _whole(found), _whole(values[0]) if len(values) == 1 else None
        return left is not None and right is not None and test(left, right)

    return decide


_TESTS: Final[Mapping[str, Callable[[str | None, Any], bool]]] = {
    "In": lambda found, values: found is not None and found in values,
    "NotIn": lambda found, values: found is None or found not in values,
    "Exists": lambda found, _: found is not None,
    "DoesNotExist": lambda found, _: found is None,
    "Gt": _compared(lambda left, right: left > right),
    "Lt": _compared(lambda left, right: left < right),
}


def _fits(one: Demand, allocatable: Demand) -> bool:
    return (
        one.cpu_millicores <= allocatable.cpu_millicores
        and one.memory_bytes <= allocatable.memory_bytes
        and one.gpus <= allocatable.gpus
    )


def _tolerates_all(tolerations: Iterable[Mapping[str, Any]], node: NodeRecord) -> bool:
    """A cordoned node is as good as tainted so, whether its controller has written the taint yet or not."""
    taints = (*node.pool.taints, _CORDONED) if node.pool.unschedulable else node.pool.taints
    return all(any(_tolerates(one, taint) for one in tolerations) for taint in taints)


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    """`v1.Toleration`: no effect is every effect; no key, with Exists, is every key."""
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.key:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and bool(key) and (toleration.get("value") or "") == taint.value
