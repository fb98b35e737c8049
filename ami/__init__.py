"""The machine image: configuration templates and what renders them."""
