/* The page: one state, which the inputs change, and which all that is shown follows. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.page = (function () {
  const {DATA, point, form, answer, map, link, files} = jaxlimits;
  const by_id = id => document.getElementById(id);
  const page = {state: link.initial(), said: [], choose, set, set_several, set_map, take_file, answered: 0, mapped: 0};
  let waiting = null;

  function choose(name, value) {
    if (page.state[name] === value) return;
    page.state[name] = value;
    update();
  }

  /* Set a field by hand; no value leaves it to the entry that states it. */
  function set(name, value) { set_several({[name]: value}); }

  function set_several(values) {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete page.state.set[name];
      else page.state.set[name] = value;
    }
    update();
  }

  function set_map(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) delete page.state.map[name];
      else page.state.map[name] = value;
    }
    update();
  }

  /* Show the point at once, and the map when the browser has drawn it. Afresh: another state as a whole. */
  function update({afresh = false} = {}) {
    if (!afresh) page.said = [];
    form.show(page.state, afresh);
    page.fields = point.all_fields(page.state);
    page.found = point.evaluate(page.fields);
    answer.show(page.fields, page.found, [...page.said, ...point.problems(page.state)]);
    show_sources();
    page.answered += 1;
    const text = `#${link.written(page.state)}`;
    if (location.hash !== text) history.replaceState(null, "", text);
    if (waiting === null) waiting = setTimeout(show_map, 0);
  }

  function show_map() {
    waiting = null;
    const began = performance.now();
    map.show(page.state, page.fields);
    performance.measure("jaxlimits-map", {start: began});
    page.mapped += 1;
  }

  function show_sources() {
    const sources = ["llm", "chip"].map(kind => [page.state[kind], point.entry(page.state, kind).source]);
    by_id("sources").replaceChildren(...sources.filter(([, source]) => source).map(([name, source]) =>
      form.made("li", {}, `Sources of ${name}: ${source}`)));
  }

  function take_file(name, text) {
    try {
      const {kind, ...own} = files.read(name, text);
      page.state.own[kind] = own;
      page.state[kind] = own.name;
      by_id("file-said").textContent = `The page uses the ${kind === "llm" ? "model" : "chip"} of ${name}.`;
      by_id("file-said").className = "";
      update();
    } catch (error) {
      by_id("file-said").textContent = error.message;
      by_id("file-said").className = "problem";
    }
  }

  function read_files(list) {
    for (const file of list) file.text().then(text => take_file(file.name, text));
  }

  function build_files() {
    const drop = by_id("drop");
    by_id("file").addEventListener("change", event => { read_files(event.target.files); event.target.value = ""; });
    document.addEventListener("dragover", event => { event.preventDefault(); drop.classList.add("over"); });
    document.addEventListener("dragleave", () => drop.classList.remove("over"));
    document.addEventListener("drop", event => {
      event.preventDefault();
      drop.classList.remove("over");
      read_files(event.dataTransfer.files);
    });
  }

  function build_actions() {
    // The part of the address after "#" is the point: a link within the page must leave it alone.
    for (const within of document.querySelectorAll('a[href="#result"]')) {
      within.addEventListener("click", event => {
        event.preventDefault();
        by_id("result").focus();
        by_id("result").scrollIntoView();
      });
    }
    by_id("form").addEventListener("submit", event => event.preventDefault());
    by_id("reset").addEventListener("click", () => { page.said = []; page.state = link.initial(); by_id("file-said").textContent = ""; update({afresh: true}); });
    by_id("copy").addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        by_id("copied").textContent = "The link is copied.";
      } catch {
        by_id("copied").textContent = "The link is the address of this page: copy it from the browser's address bar.";
      }
    });
    addEventListener("hashchange", open_link);
  }

  function open_link() {
    page.said = [];
    page.state = link.read(location.hash, page.said);
    update({afresh: true});
  }

  form.build(page);
  map.build(page);
  build_files();
  build_actions();
  by_id("version").textContent = `Made by jaxlimits ${DATA.version}.`;
  open_link();
  performance.mark("jaxlimits-first-answer");
  return page;
})();
