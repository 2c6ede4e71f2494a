"""What a document would cost, told by its syntax: nothing is executed for it.

In: a document that fits the schema. Out: for each operation its depth, aliases and a count that page sizes multiply.
Called by document, once for each text. A fragment is measured once, however often it is spread: the work is that of
reading the document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import ceil, isnan

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    is_enum_type,
    is_interface_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    value_from_ast_untyped,
)

from .target import write_value

PAGE_SIZES = ("first", "last", "limit")
_INTROSPECTION = frozenset({"__schema", "__type"})
_ENDLESS = 1 << 53


@dataclass(frozen=True, slots=True)
class Asked:
    """A size that holds variables, and those of the schema's default, which counts where a variable is not given."""

    node: ValueNode
    otherwise: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A list that a client asks a part of: as many as the largest of `sizes` says, times inside."""

    sizes: tuple[int | Asked, ...]
    """None where it is not said."""
    inside: Cost


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a selection set, with all fragments in it."""

    fields: int = 0
    depth: int = 0
    aliases: int = 0
    introspects: bool = False
    pages: tuple[Page, ...] = ()

    def beside(self, other: Cost) -> Cost:
        """Returns the cost of both in one selection set."""
        return Cost(
            self.fields + other.fields,
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.introspects or other.introspects,
            self.pages + other.pages,
        )


class Measure:
    """Costs of a document's operations, by name."""

    def __init__(self, schema: GraphQLSchema, node: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            each.name.value: each for each in node.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[str, Cost] = {}
        self.costs = {
            each.name.value if each.name else "": self._operation(each)
            for each in node.definitions
            if isinstance(each, OperationDefinitionNode)
        }

    def _operation(self, operation: OperationDefinitionNode) -> Cost:
        return self._selections(operation.selection_set, self._schema.get_root_type(operation.operation))

    def _selections(self, selections: SelectionSetNode | None, on: GraphQLNamedType | None) -> Cost:
        if selections is None:
            return Cost()
        return reduce(Cost.beside, (self._selection(each, on) for each in selections.selections), Cost())

    def _selection(self, node: object, on: GraphQLNamedType | None) -> Cost:
        match node:
            case FieldNode():
                return self._field(node, on)
            case InlineFragmentNode(type_condition=condition):
                inner = on if condition is None else self._schema.get_type(condition.name.value)
                return self._selections(node.selection_set, inner)
            case FragmentSpreadNode():
                return _once(self._fragment(node.name.value))
            case _:
                return Cost()

    def _fragment(self, name: str) -> Cost:
        known = self._known.get(name)
        if known is None:
            fragment = self._fragments[name]
            condition = self._schema.get_type(fragment.type_condition.name.value)
            known = self._known[name] = self._selections(fragment.selection_set, condition)
        return known

    def _field(self, node: FieldNode, on: GraphQLNamedType | None) -> Cost:
        name = node.name.value
        alias = 0 if node.alias is None or node.alias.value == name else 1
        if name in _INTROSPECTION:
            # Validation bounds lists within lists of it; its answer is never longer than the schema.
            return Cost(fields=1, depth=1, aliases=alias, introspects=True)
        definition = _definition(on, name)
        inner = self._selections(node.selection_set, None if definition is None else get_named_type(definition.type))
        sizes = _page(node, definition)
        return Cost(
            fields=1 + (inner.fields if sizes is None else 0),
            depth=1 + inner.depth,
            aliases=alias + inner.aliases,
            introspects=inner.introspects,
            pages=inner.pages if sizes is None else (Page(sizes, inner),),
        )


@dataclass(slots=True)
class Pricing:
    """Counts with the variables of one request, as they reach its fields: `Int` takes 1e5 as well as 100000, and of a
    scalar of the schema's own targets read a text. A page whose size is not said is the largest there may be.
    """

    variables: Mapping[str, object]
    largest: int
    biggest_page: int = 0
    _known: dict[int, int] = field(default_factory=dict)

    def count(self, cost: Cost) -> int:
        """Returns one for each field, times the page sizes around it."""
        known = self._known.get(id(cost))
        if known is None:
            known = cost.fields + sum(self._size(page) * self.count(page.inside) for page in cost.pages)
            self._known[id(cost)] = known
        return known

    def _size(self, page: Page) -> int:
        numbers = [number for each in page.sizes for number in ([each] if isinstance(each, int) else self._asked(each))]
        if not numbers:
            return self.largest
        self.biggest_page = max(self.biggest_page, *numbers)
        return max(1, *numbers)

    def _asked(self, asked: Asked) -> Iterable[int]:
        if isinstance(asked.node, VariableNode) and asked.node.name.value not in self.variables:
            return asked.otherwise
        return _numbers(value_from_ast_untyped(asked.node, dict(self.variables)))


def _once(fragment: Cost) -> Cost:
    """The cost of a spread. Its pages are those of the fragment, not copies: spread twice in fragments that are spread
    twice, they would double each time.
    """
    if not fragment.pages:
        return fragment
    return Cost(
        depth=fragment.depth,
        aliases=fragment.aliases,
        introspects=fragment.introspects,
        pages=(Page((1,), fragment),),
    )


def _numbers(value: object) -> list[int]:
    """The sizes that a value asks a target for, which reads text: one with digits that is no number may be any."""
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    if value is None or value is Undefined or isinstance(value, bool):
        return []
    if isinstance(value, (int, float)):
        return [_whole(value)]
    text = write_value(value)
    try:
        number = float(text)
    except ValueError:
        return [_ENDLESS] if any(each.isdigit() for each in text) else []
    return [] if isnan(number) else [_whole(number)]


def _whole(number: float) -> int:
    """A literal may be infinite."""
    return ceil(max(-_ENDLESS, min(number, _ENDLESS)))


def _definition(on: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    return on.fields.get(name) if is_object_type(on) or is_interface_type(on) else None


def _page(node: FieldNode, definition: GraphQLField | None) -> tuple[int | Asked, ...] | None:
    """What is said of the size of a list of which clients may ask a part; None for a field that is no such list."""
    names = [] if definition is None else [name for name in PAGE_SIZES if name in definition.args]
    if definition is None or not names:
        return None
    said = {each.name.value: each.value for each in node.arguments or ()}
    sizes: list[int | Asked] = []
    for name in names:
        argument, value = definition.args[name], said.get(name)
        if is_enum_type(get_named_type(argument.type)):
            continue  # Its values are names, whatever digits are in them.
        if value is None:
            sizes += _default(argument)
        elif isinstance(value, VariableNode | ListValueNode | ObjectValueNode):
            sizes.append(Asked(value, tuple(_default(argument))))
        else:
            sizes += _numbers(value_from_ast_untyped(value))
    inner = definition.type.of_type if is_non_null_type(definition.type) else definition.type
    return tuple(sizes) if sizes or is_list_type(inner) else None


def _default(argument: GraphQLArgument) -> list[int]:
    """As the text of the schema says."""
    literal = None if argument.default is None else argument.default.literal
    return _numbers(value_from_ast_untyped(literal)) if isinstance(literal, ValueNode) else []


def count_same(node: DocumentNode) -> int:
    """Returns how often the most frequent name is selected in one selection set: validation compares these."""
    most = 0
    waiting: list[SelectionSetNode] = [
        each.selection_set
        for each in node.definitions
        if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        names: Counter[str] = Counter()
        flat = list(waiting.pop().selections)
        while flat:
            each = flat.pop()
            if isinstance(each, InlineFragmentNode):
                flat.extend(each.selection_set.selections)
            elif isinstance(each, FieldNode):
                names[(each.alias or each.name).value] += 1
                if each.selection_set is not None:
                    waiting.append(each.selection_set)
            else:
                names["..."] += 1
        most = max(most, *names.values()) if names else most
    return most
