"""Tables and figures of the Thesis."""
