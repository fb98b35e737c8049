"""Where `pulumi up` starts: the engine runs this file in this directory."""

from pathlib import Path

from infra.prices import present_prices
from infra.program import run

run(present_prices(Path(__file__).parent))
