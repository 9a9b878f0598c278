"""A page without installation: the model in a browser, as a folder of static files."""
