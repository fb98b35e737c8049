"""The load, the measurements, the meters and the report."""
