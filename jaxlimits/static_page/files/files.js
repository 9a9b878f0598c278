/* Files that are dropped on the page: a config.json, or an entry of a catalog as TOML or JSON. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.files = (function () {
  const {DATA} = jaxlimits;
  const WORDS = ["name", "title", "source", "note", "status", "aliases", "origin", "comes_to", "fit", "like"];
  const MOST = 4e6;  // characters of a file

  /* The kind and the entry of a file: {kind: "llm" or "chip", name, title, values}. */
  function read(file_name, text) {
    if (text.length > MOST) throw new Error(`${file_name}: is larger than any model's description`);
    const name = file_name.replace(/\.[^.]*$/, "");
    if (/\.toml$/i.test(file_name)) return from_toml(file_name, text);
    let content;
    try {
      content = JSON.parse(text);
    } catch (error) {
      throw new Error(`${file_name}: is not JSON: ${error.message}`);
    }
    if (content === null || typeof content !== "object" || Array.isArray(content)) {
      throw new Error(`${file_name}: must be a table, {…}`);
    }
    if ("model_type" in content || "architectures" in content) {
      const {values, title} = jaxlimits.config.read(content, file_name);
      return {kind: "llm", name, title, values};
    }
    return from_entry(file_name, content.name || name, content);
  }

  function from_entry(where, name, content, kind = kind_of(where, content)) {
    const values = {};
    for (const [key, value] of Object.entries(content)) {
      if (WORDS.includes(key)) continue;
      values[key] = number(where, kind, key, value);
    }
    const own = {name: String(name), title: String(content.title || name), values};
    return {kind, ...checked_own(kind, own, where)};
  }

  function kind_of(where, content) {
    if ("mem_bw" in content || "peak_flops" in content) return "chip";
    if ("num_layers" in content || "hidden_size" in content) return "llm";
    throw new Error(`${where}: is neither a model nor a chip: a model states num_layers, a chip states mem_bw`);
  }

  function known_of(kind) {
    return new Set([...DATA.records[kind], ...(kind === "llm" ? Object.values(DATA.set_by) : [])]);
  }

  function number(where, kind, key, value) {
    if (!known_of(kind).has(key)) throw new Error(`${where}: unknown field '${key}' of a ${kind === "llm" ? "model" : "chip"}`);
    const info = DATA.fields[key];
    try {
      if (typeof value === "string") {
        const bare = /^\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*$/.test(value);
        if (bare && !["1", "token"].includes(info.unit)) throw new Error(`${key} = ${value}: a bare number; write it with its unit, as ${info.example}`);
        return jaxlimits.numbers.read(key, value);
      }
      if (typeof value !== "number") throw new Error(`${key} = ${JSON.stringify(value)}: is not a number`);
      if (!["1", "token"].includes(info.unit)) throw new Error(`${key} = ${value}: a bare number; write it with its unit, as "${info.example}"`);
      return jaxlimits.numbers.checked(key, value);
    } catch (error) {
      throw new Error(`${where}: ${error.message}`);
    }
  }

  /* An entry with SI numbers, as a link holds it, or an error. */
  function checked_own(kind, own, where = own && own.name) {
    if (!own || typeof own.name !== "string" || typeof own.values !== "object") throw new Error("is not an entry");
    for (const [key, value] of Object.entries(own.values)) {
      if (!known_of(kind).has(key)) throw new Error(`unknown field '${key}'`);
      jaxlimits.numbers.checked(key, value);
    }
    const full = kind === "llm" ? jaxlimits.point.model_values(own.values) : jaxlimits.point.chip_values(own.values, [], {});
    const lacking = DATA.records[kind].filter(field => !(field in full));
    if (lacking.length) throw new Error(`${where}: lacks ${lacking.join(", ")}; state each of them`);
    return {name: own.name, title: String(own.title || own.name), values: own.values};
  }

  /* The one table [chips.NAME] or [llms.NAME] of a file: lines of `key = number` or `key = "text"`. */
  function from_toml(where, text) {
    const tables = [];
    text.split(/\r?\n/).forEach((line, at) => {
      const plain = line.trim();
      if (plain === "" || plain.startsWith("#")) return;
      const head = /^\[(chips|llms)\.(?:"([^"]+)"|([\w.-]+))\]\s*(?:#.*)?$/.exec(plain);
      const pair = /^([A-Za-z_]\w*)\s*=\s*(?:"([^"]*)"|([+-]?[\d._]+(?:[eE][+-]?\d+)?)|(\[.*\]))\s*(?:#.*)?$/.exec(plain);
      if (head) tables.push({kind: head[1] === "chips" ? "chip" : "llm", name: head[2] || head[3], content: {}});
      else if (pair && tables.length) tables[tables.length - 1].content[pair[1]] = pair[2] !== undefined ? pair[2] : pair[3] !== undefined ? Number(pair[3].replace(/_/g, "")) : pair[4];
      else throw new Error(`${where}: line ${at + 1}: the page reads a line [chips.NAME] or [llms.NAME], then lines as mem_bw = "3.35 TB/s"`);
    });
    if (tables.length !== 1) throw new Error(`${where}: has ${tables.length} entries; the page reads a file of one`);
    const [{kind, name, content}] = tables;
    if ("like" in content) throw new Error(`${where}: like = "${content.like}": the page reads an entry that states every number itself`);
    return from_entry(where, name, content, kind);
  }

  return {read, checked_own};
})();
