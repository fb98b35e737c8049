"""Where `pulumi up` starts: the engine runs this file in this directory."""

from infra.program import run

run()
