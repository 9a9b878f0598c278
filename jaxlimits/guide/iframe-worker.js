// Browsers start no worker from a page that is opened as a file. There the search runs in a hidden
// frame instead, which has the messages of a worker. Pages that a server delivers keep real workers.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.srcdoc = "<!doctype html>"
      this.started = new Promise((started) => {
        this.frame.addEventListener("load", () => this.#start(url, started), { once: true })
      })
      document.documentElement.append(this.frame)
    }

    #start(url, started) {
      const inside = this.frame.contentWindow
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = () => {} // of further languages, which the guide has not
      const script = inside.document.createElement("script")
      script.src = url
      script.addEventListener("load", () => started(inside))
      inside.document.head.append(script)
    }

    // Messages that come before the script is there wait for it.
    postMessage(data) {
      this.started.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
