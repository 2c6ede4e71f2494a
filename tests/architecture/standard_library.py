"""An import contract: these modules import the standard library and each other, nothing else.

In: the import graph that import-linter built and the contract's `modules` option. Out: the contract's verdict, with the
offending imports. Loaded by import-linter through .importlinter, because its own contract types can forbid named
packages but not "everything that is installed".
"""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from typing_extensions import override


class StandardLibraryOnlyContract(Contract):
    """`modules`: the packages, with all below them, that may import only the standard library and each other."""

    type_name = "standard_library_only"

    modules = fields.ListField(subfield=fields.StringField())

    @override
    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Returns the verdict; raises ValueError for a module that does not exist, which would be checked in vain."""
        roots = [str(name) for name in self.contract_options["modules"]]
        missing = [name for name in roots if name not in graph.modules]
        if missing:
            raise ValueError(f"No such module: {', '.join(missing)}.")
        members = {name for root in roots for name in (root, *graph.find_descendants(root))}
        illegal = [
            f"{importer} -> {imported}"
            for importer in sorted(members)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported not in members and imported.partition(".")[0] not in sys.stdlib_module_names
        ]
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    @override
    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints one line for each import that is not allowed."""
        for line in check.metadata["illegal"]:
            output.print_error(f"- {line}", bold=False)
