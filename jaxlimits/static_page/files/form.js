/* The inputs of the point: choosers with a search, numbers with their units. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.form = (function () {
  const {DATA, PROGRAMS, numbers, point} = jaxlimits;
  const used = PROGRAMS[PROGRAMS.length - 1].inputs;
  const MAIN = {
    layout: {tp_size: "Tensor parallel", pp_size: "Pipeline parallel", ep_size: "Expert parallel", dp_size: "Replicas"},
    load: {batch_size: "Batch size", seq_len: "Context", input_len: "Prompt", output_len: "Answer"},
    precision: {weight_bits: "Weights", kv_bits: "KV cache", compute_bits: "Operands"},
  };
  const UNITS = {
    tp_size: "chips", pp_size: "stages", ep_size: "ranks", dp_size: "copies", batch_size: "sequences",
    weight_bits: "bit", kv_bits: "bit", compute_bits: "bit",
  };
  const FURTHER = {chip: "The chip", llm: "The model", deployment: "The deployment", request: "The request", site: "Power and cost of the site"};
  const inputs = {};

  /* An element with attributes and children; text is never read as HTML. */
  function made(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter(child => child !== null));
    return element;
  }

  function build(page) {
    build_names(page);
    for (const [part, fields] of Object.entries(MAIN)) {
      const pair = made("div", {class: "pair"});
      for (const [name, label] of Object.entries(fields)) pair.append(number(page, name, label));
      document.getElementById(part).append(pair);
    }
    document.getElementById("load").append(made("p", {class: "quiet"}, "A prompt of 0 tokens states no request. With a request, its own length counts in place of the context."));
    document.getElementById("precision").append(made("p", {class: "quiet"}, "0 keeps the bits in which the model is released."));
    const main = Object.values(MAIN).flatMap(Object.keys);
    for (const [record, title] of Object.entries(FURTHER)) {
      const names = DATA.records[record].filter(name => name in used && !main.includes(name));
      const group = made("div");
      const details = made("details", {}, made("summary", {}, `${title}: ${names.length} numbers`), group);
      // Built when it is opened: most people never do.
      details.addEventListener("toggle", () => {
        if (!details.open || group.childElementCount) return;
        for (const name of names) group.append(number(page, name, null));
        show_numbers(page.state);
      });
      document.getElementById("further").append(details);
    }
  }

  function build_names(page) {
    const place = document.getElementById("names");
    for (const [name, label] of [["llm", "Model"], ["chip", "Chip"]]) place.append(chooser(page, name, label));
    place.append(menu(page, "interconnect", "Interconnect", "interconnects", "as the chip states it"));
    place.append(menu(page, "assume", "Power and price of a chip that states none", "assumptions", "not assumed"));
  }

  /* A field that searches the names of a list: it is empty while it has the focus. */
  function chooser(page, name, label) {
    const list = made("datalist", {id: `${name}-list`});
    const input = made("input", {id: name, list: `${name}-list`, "aria-describedby": `${name}-about ${name}-wrong`});
    const about = made("span", {class: "about", id: `${name}-about`}), wrong = made("span", {class: "wrong", id: `${name}-wrong`});
    input.addEventListener("focus", () => { input.placeholder = `${page.state[name]}; type to search`; input.value = ""; });
    input.addEventListener("input", () => { if (known(page.state, name, input.value)) page.choose(name, known(page.state, name, input.value)); });
    input.addEventListener("blur", () => {
      const found = input.value === "" ? page.state[name] : known(page.state, name, input.value);
      wrong.textContent = found ? "" : `unknown ${label.toLowerCase()} '${input.value}'`;
      input.setAttribute("aria-invalid", String(!found));
      if (found) { input.value = found; page.choose(name, found); }
    });
    inputs[name] = {input, list, about, wrong};
    return made("div", {class: "field wide"}, made("label", {for: name}, label), input, list, about, wrong);
  }

  function known(state, kind, text) {
    const plain = value => value.toLowerCase().replace(/[-_ /]/g, ""), asked = plain(text);
    const own = state.own[kind], table = DATA[`${kind}s`];
    if (own && own.name === text) return text;
    return Object.keys(table).find(name => plain(name) === asked
      || (table[name].aliases || []).some(alias => plain(alias) === asked));
  }

  function menu(page, name, label, table, none) {
    const select = made("select", {id: name}, made("option", {value: ""}, none),
      ...Object.entries(DATA[table]).map(([each, {title}]) => made("option", {value: each}, `${each}: ${title}`)));
    select.addEventListener("change", () => page.choose(name, select.value));
    inputs[name] = {input: select};
    return made("div", {class: "field wide"}, made("label", {for: name}, label), select);
  }

  function number(page, name, label) {
    const info = DATA.fields[name], unit = UNITS[name] || numbers.typeset(info.display);
    const about = label === null ? [made("code", {}, name)] : [];
    const words = made("label", {for: `field-${name}`}, label === null ? info.meaning : label, " ",
      made("span", {class: "unit"}, unit ? `[${unit}] ` : "", ...about));
    const input = made("input", {id: `field-${name}`, inputmode: "decimal", title: `${name}: ${info.meaning} (${info.bounds})`, "aria-describedby": `wrong-${name}`});
    const wrong = made("span", {class: "wrong", id: `wrong-${name}`});
    let before;  // what counted when the field got the focus, and counts again where it holds no value
    input.addEventListener("focus", () => { before = page.state.set[name]; });
    const take = () => {
      try {
        const value = input.value.trim() === "" ? undefined : numbers.read(name, input.value);
        wrong.textContent = "";
        input.setAttribute("aria-invalid", "false");
        page.set(name, value);
      } catch (error) {
        wrong.textContent = error.message;
        input.setAttribute("aria-invalid", "true");
        page.set(name, before);
      }
    };
    input.addEventListener("input", take);
    input.addEventListener("change", () => { take(); if (!wrong.textContent) show_number(page.state, name); });
    inputs[name] = {input, wrong, is_number: true};
    return made("div", {class: "field"}, words, input, wrong);
  }

  /* Write a state into the inputs; that with the focus is left to who types. Afresh: wrong ones too. */
  function show(state, afresh = false) {
    for (const kind of ["llm", "chip"]) {
      const {input, list, about, wrong} = inputs[kind], own = state.own[kind];
      const options = Object.entries(DATA[`${kind}s`]).map(([name, {title}]) => made("option", {value: name}, title));
      if (own) options.unshift(made("option", {value: own.name}, own.title));
      list.replaceChildren(...options);
      const {title, status} = point.entry(state, kind);
      about.textContent = status === "announced" ? `${title}. It is announced, and its figures may change.` : title;
      if (document.activeElement !== input) {
        input.value = state[kind];
        wrong.textContent = "";
        input.setAttribute("aria-invalid", "false");
      }
    }
    for (const name of ["interconnect", "assume"]) inputs[name].input.value = state[name];
    show_numbers(state, afresh);
  }

  function show_numbers(state, afresh) {
    for (const [name, each] of Object.entries(inputs)) if (each.is_number) show_number(state, name, afresh);
  }

  function show_number(state, name, afresh = false) {
    const {input, wrong} = inputs[name], info = DATA.fields[name];
    const fields = point.all_fields(state);
    if (name === "seq_len") input.disabled = fields.input_len > 0;
    input.placeholder = numbers.edited(info, point.base_fields(state)[name]) || "not stated";
    if (input.getAttribute("aria-invalid") === "true" && !afresh) return;  // what is wrong stays to be mended
    const is_main = Object.values(MAIN).some(fields => name in fields);
    const text = name in state.set || is_main ? numbers.edited(info, fields[name]) : "";
    if (document.activeElement !== input) input.value = text;
    wrong.textContent = "";
    input.setAttribute("aria-invalid", "false");
  }

  return {build, show, made, used, MAIN};
})();
