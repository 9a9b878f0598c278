/* A state as the part of an address after "#", and back. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.link = (function () {
  const {DATA} = jaxlimits;
  const NAMES = ["llm", "chip", "interconnect", "assume"];
  const OF_THE_MAP = ["x", "y", "metric", "x_from", "x_to", "y_from", "y_to"];

  function initial() {
    return {
      llm: "llama3-70b", chip: "h100", interconnect: "", assume: "", own: {},
      set: {tp_size: 8, batch_size: 16, seq_len: 8192},
      map: {x: "batch_size", y: "seq_len", metric: "stps"},
    };
  }

  function written(state) {
    const query = new URLSearchParams();
    for (const name of NAMES) if (state[name]) query.set(name, state[name]);
    for (const [name, value] of Object.entries(state.set)) query.set(name, String(value));
    for (const name of OF_THE_MAP) if (state.map[name] !== undefined) query.set(`map.${name}`, String(state.map[name]));
    for (const kind of ["llm", "chip"]) {
      const own = state.own[kind];
      if (own && own.name === state[kind]) query.set(`own.${kind}`, JSON.stringify(own));
    }
    return query.toString();
  }

  /* The state of an address; what it says that nobody knows goes to `problems`. */
  function read(text, problems) {
    const state = initial(), query = new URLSearchParams(text.replace(/^#/, ""));
    if ([...query].length === 0) return state;
    state.set = {};
    for (const kind of ["llm", "chip"]) {
      if (!query.has(`own.${kind}`)) continue;
      try {
        state.own[kind] = jaxlimits.files.checked_own(kind, JSON.parse(query.get(`own.${kind}`)));
      } catch (error) {
        problems.push(`the link: own.${kind}: ${error.message}`);
      }
    }
    for (const [name, value] of query) {
      try {
        take(state, name, value);
      } catch (error) {
        problems.push(`the link: ${error.message}`);
      }
    }
    return state;
  }

  function take(state, name, value) {
    if (name.startsWith("own.")) return;
    if (NAMES.includes(name)) {
      const own = state.own[name] && state.own[name].name === value;
      const table = {llm: "llms", chip: "chips", interconnect: "interconnects", assume: "assumptions"}[name];
      if (!own && !Object.hasOwn(DATA[table], value)) throw new Error(`unknown ${name} '${value}'`);
      state[name] = value;
    } else if (name.startsWith("map.") && OF_THE_MAP.includes(name.slice(4))) {
      take_map(state, name.slice(4), value);
    } else if (Object.hasOwn(DATA.fields, name)) {
      state.set[name] = jaxlimits.numbers.checked(name, value.trim() === "" ? NaN : Number(value), value);
    } else {
      throw new Error(`unknown name '${name}'`);
    }
  }

  function take_map(state, name, value) {
    const known = name === "metric" ? {...DATA.metrics, limit: 1} : DATA.fields;
    if (["x", "y", "metric"].includes(name)) {
      if (!Object.hasOwn(known, value)) throw new Error(`unknown ${name} of the map '${value}'`);
      state.map[name] = value;
    } else if (Number(value) > 0 && Number.isFinite(Number(value))) {
      state.map[name] = Number(value);
    } else {
      throw new Error(`map.${name} = ${value}: must be a number above 0`);
    }
  }

  return {initial, written, read};
})();
