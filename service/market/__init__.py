"""The market service: a parimutuel prediction market over WebSockets."""
