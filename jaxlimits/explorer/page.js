// Every part of the page stands in a shadow root of its own; what has to be told of parts that
// Bokeh draws is told as they appear.
{
  const named = (root) => {
    for (const handle of root.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const title = root.querySelector("label, .bk-slider-title")?.textContent.replace(/:\s*$/, "").trim()
      if (title) handle.setAttribute("aria-label", title)
    }
    for (const box of root.querySelectorAll("input[type=checkbox]:not([aria-label])")) {
      const words = box.nextElementSibling?.textContent.trim()
      if (words && !box.labels?.length) box.setAttribute("aria-label", words)
    }
  }
  // The operator whose details are shown stays chosen when its graph is drawn anew.
  let chosen = null
  const choose = (root) => {
    for (const button of root.querySelectorAll("[data-operator]"))
      button.setAttribute("aria-expanded", String(button.dataset.operator === chosen))
    for (const details of root.querySelectorAll("[data-of]"))
      details.hidden = details.dataset.of !== chosen
  }
  document.addEventListener("click", (event) => {
    const button = event.composedPath().find((each) => each.dataset?.operator)
    if (!button) return
    chosen = button.dataset.operator === chosen ? null : button.dataset.operator
    choose(button.getRootNode())
  })
  const attach = Element.prototype.attachShadow
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options)
    new MutationObserver(() => { named(root); choose(root) }).observe(root, {childList: true, subtree: true})
    return root
  }
}
