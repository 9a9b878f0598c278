// Every part of the page stands in a shadow root of its own; what has to be told of parts that
// Bokeh draws is told as they appear.
{
  const named = (root) => {
    for (const handle of root.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const title = root.querySelector("label, .bk-slider-title")?.textContent.replace(/:\s*$/, "").trim()
      if (title) handle.setAttribute("aria-label", title)
    }
  }
  const attach = Element.prototype.attachShadow
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options)
    new MutationObserver(() => named(root)).observe(root, {childList: true, subtree: true})
    return root
  }
}
