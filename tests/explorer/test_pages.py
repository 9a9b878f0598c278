"""What pages load, whatever else the server does meanwhile."""

from bokeh.settings import settings
from panel.io.resources import set_resource_mode


def test_tabs_that_open_at_once_load_nothing_from_the_network(running):
    first, second = set_resource_mode("server"), set_resource_mode("server")
    with first:
        second.__enter__()
    try:  # the first page is written, the second is not
        assert settings.resources(default="cdn") == "server"
    finally:
        second.__exit__(None, None, None)
