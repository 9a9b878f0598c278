"""The explorer: the model live in a browser, on this machine alone unless told otherwise."""
