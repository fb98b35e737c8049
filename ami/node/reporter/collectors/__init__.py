"""What measures the machine: each module one aspect of it, behind the protocol `figures.Collector`."""
