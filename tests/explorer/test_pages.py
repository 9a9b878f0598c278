"""What pages load, whatever else the server does meanwhile."""

from bokeh.document import Document
from bokeh.models import ImportedStyleSheet
from panel.io.resources import LOCAL_DIST
from panel.io.state import set_curdoc


def test_a_page_loads_its_styles_from_its_server_before_it_is_written(running):
    document = Document()
    with set_curdoc(document):
        running.server._tornado.applications["/"].application.initialize_document(document)
    addresses = {
        str(style.url)
        for root in document.roots
        for style in root.select({"type": ImportedStyleSheet})
    }
    assert addresses
    assert all(address.startswith(LOCAL_DIST) for address in addresses), addresses
