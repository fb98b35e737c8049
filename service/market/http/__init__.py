"""The market over plain HTTP: the request and reply operations, its health and its description."""
