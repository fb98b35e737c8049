"""Who may import whom, where import-linter's contracts cannot say it: one module of a package only."""

from __future__ import annotations

import grimp


def test_the_benchmark_knows_of_the_service_its_protocol_only() -> None:
    graph = grimp.build_graph("bench", "market")
    imported = {
        target
        for module in graph.find_descendants("bench")
        for target in graph.find_modules_directly_imported_by(module)
        if target.split(".")[0] == "market"
    }
    assert imported == {"market.protocol"}
