"""Networks: loading, one convention for all of them, preparing, saving."""
