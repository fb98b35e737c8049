"""What Prometheus is told: itself, and the machines in a file that `ami.node.targets` keeps."""

from __future__ import annotations

import json
from typing import Final

from ami.node.document import Document
from ami.node.paths import TARGETS

SCRAPE_S: Final = 15


def configuration(document: Document) -> str:
    """The text of prometheus.yml (JSON, which is YAML)."""
    return (
        json.dumps(
            {
                "global": {
                    "scrape_interval": f"{SCRAPE_S}s",
                    "external_labels": {"stack": document.stack},
                },
                "scrape_configs": [
                    {
                        "job_name": "isochrone",
                        "file_sd_configs": [{"files": [str(TARGETS)], "refresh_interval": "1m"}],
                    },
                    {
                        "job_name": "prometheus",
                        "static_configs": [{"targets": ["127.0.0.1:9090"]}],
                    },
                ],
            },
            indent=2,
        )
        + "\n"
    )
