/* Reads a model's config.json by the package's own statements of each family of models. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.config = (function () {
  const {DATA} = jaxlimits;
  const TEXT_PARTS = ["text_config", "language_config", "llm_config"];
  const QUANTISED = ["quantization_config", "quantization", "compression_config"];
  const LARGEST = 1e12, MOST_LAYERS = 10000;
  const instead = where => `run \`jaxlimits catalog llms ${where} --json > model.json\`, then drop model.json here`;

  class Config {
    constructor(values, where, family) {
      const within = (family.tables || []).map(key => values[key]).filter(is_table);
      this.values = Object.assign({}, ...within, values);
      this.where = where;
      this.family = family;
      for (const part of ["defaults", "keys", "kinds"]) this[part] = family[part] || {};
    }

    refuse(key, why) {
      const value = JSON.stringify(this.stated(key));
      const short = value && value.length > 60 ? `${value.slice(0, 60)}…` : value;
      return new Error(`${this.where}: ${this.key(key)}${short === undefined ? "" : ` = ${short}`}: ${why}; ${instead(this.where)}`);
    }

    found(name) {
      let found = this.values;
      for (const part of name.split(".")) found = is_table(found) ? found[part] : undefined;
      return found === "auto" || found === null ? undefined : found;
    }

    key(name) {
      const names = Object.hasOwn(this.keys, name) ? this.keys[name] : name;
      if (typeof names === "string") return names;
      return names.find(each => this.found(each) !== undefined) || names[0];
    }

    stated(name) { return this.found(this.key(name)); }

    value(key) {
      if (key === "num_hidden_layers") {
        for (const each of this.family.counted || []) {
          const number = this.listed(each).length;
          if (number) return number;
        }
      }
      let value = this.stated(key);
      if (value === undefined) value = this.defaults[key];
      if (Array.isArray(value)) {
        if (!value.length || value.some(each => each !== value[0])) throw this.refuse(key, "differs between layers");
        value = value[0];
      }
      if (value === undefined || value === null) return undefined;
      if (typeof this.defaults[key] === "boolean") {
        if (![0, 1, true, false].includes(value)) throw this.refuse(key, "must be true or false");
        return Number(value);
      }
      return this.whole(key, value);
    }

    whole(key, value) {
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > LARGEST) {
        throw this.refuse(key, "must be a whole number");
      }
      return value;
    }

    count(key) { const value = this.value(key); return value === undefined ? 0 : value; }

    must(key) {
      const value = this.value(key);
      if (value === undefined) throw new Error(`${this.where}: ${this.key(key)}: is missing; is this the configuration of a language model?`);
      return value;
    }

    named(name, fields) {
      return this.stated(name) === undefined && name in fields ? fields[name] : this.must(name);
    }

    is_stated(key) {
      const found = this.stated(key);
      if (found === undefined && this.key(key) in this.values) return false;  // null is stated
      return Boolean(found === undefined ? this.defaults[key] : found);
    }

    listed(key) {
      const stated = key === undefined ? undefined : this.stated(key);
      if (stated === undefined) return [];
      if (typeof stated === "string" && stated.split(",").every(part => /^\s*\d+\s*$/.test(part))) return stated.split(",").map(Number);
      if (typeof stated === "string" && key in this.kinds && Object.keys(this.kinds[key]).every(word => word.length === 1)) return [...stated];
      if (!Array.isArray(stated)) throw this.refuse(key, "must be a list");
      return stated;
    }

    mean(key) {
      const stated = this.stated(key);
      if (!Array.isArray(stated) || !stated.length) return this.must(key);
      return stated.reduce((sum, each) => sum + this.whole(key, each), 0) / stated.length;
    }
  }

  const is_table = value => value !== null && typeof value === "object" && !Array.isArray(value);

  function family_of(values, where) {
    const classes = Array.isArray(values.architectures) ? values.architectures.map(each => String(each).toLowerCase()) : [];
    for (const family of DATA.families) {
      const parts = (family.architectures || []).map(part => part.toLowerCase());
      if (parts.some(part => classes.some(name => name.includes(part)))) return family;
    }
    const kind = String(values.model_type);
    if (!Object.hasOwn(DATA.family_of, kind)) {
      throw new Error(`${where}: model_type = "${kind}": is a family whose layers are not known; state the model's numbers as an entry of a catalog`);
    }
    return DATA.families[DATA.family_of[kind]];
  }

  /* Indices of the layers that a rule picks. */
  function picked(rule, config) {
    const stated = stated_layers(rule, config);
    if (!(rule.need || []).every(key => config.is_stated(key))) return [];
    const found = stated === undefined ? by_periods(rule, config) : stated;
    if (rule.last === undefined) return found;
    const first = config.must("num_hidden_layers") - config.must(rule.last);
    return found.filter(index => index >= first);
  }

  function stated_layers(rule, config) {
    const wanted = rule.kind === undefined ? [] : [].concat(rule.kind);
    for (const [key, words] of Object.entries(config.kinds)) {
      if (!Object.values(words).some(word => wanted.includes(word))) continue;
      const kinds = kinds_of(config, key, words);
      if (kinds.length) return places(kinds.map(kind => wanted.includes(kind)));
    }
    const listed = config.listed(rule.listed);
    if (listed.length) return listed.map(at => config.whole(rule.listed, at) - (rule.listed_from || 0));
    const flags = config.listed(rule.flagged);
    if (flags.length) return places(flags);
    const every = rule.first_of_every;
    if (typeof every === "string" && Array.isArray(config.stated(every))) return places(config.listed(every));
    return undefined;
  }

  const places = flags => flags.map((flag, index) => flag ? index : -1).filter(index => index >= 0);

  function kinds_of(config, key, words) {
    const named = config.listed(key);
    for (const name of named) if (!Object.hasOwn(words, String(name))) throw config.refuse(key, `has layers of a kind not known, '${name}'`);
    if (!named.length) return [];
    const number = config.must("num_hidden_layers"), most = number + config.count("num_nextn_predict_layers");
    if (named.length < number || named.length > most) throw config.refuse(key, `lists ${named.length}, of ${number} layers`);
    return named.slice(0, number).map(name => words[String(name)]);
  }

  function by_periods(rule, config) {
    const number = config.must("num_hidden_layers");
    const of = key => key === undefined ? 0 : config.must(key);
    const period = (every, none) => {
      const found = typeof every === "string" ? config.must(every) : every || none;
      if (found < 1) throw config.refuse(String(every), "must be at least 1");
      return found;
    };
    const start = of(rule.start), offset = of(rule.offset), without = config.listed(rule.but);
    const first = period(rule.first_of_every, 1), last = period(rule.last_of_every, 1);
    const skipped = period(rule.all_but_last_of_every, number + 1), found = [];
    for (let index = start; index < number; index++) {
      const here = (index - offset) % first === 0 && (index + 1) % last === 0 && (index + 1) % skipped !== 0;
      if (here && !without.includes(index)) found.push(index);
    }
    return found;
  }

  /* The value of an expression: a number, a name, or a list with its operation first. */
  function value_of(expression, fields, config) {
    if (typeof expression === "number") return expression;
    if (typeof expression === "string") return config.named(expression, fields);
    const [sign, ...parts] = expression;
    if (sign === "mean") return config.mean(parts[0]);
    if (sign === "or") {
      for (const part of parts) { const value = value_of(part, fields, config); if (value) return value; }
      return 0;
    }
    const [a, b] = parts.map(part => value_of(part, fields, config));
    if (sign === "+") return a + b;
    if (sign === "-") return a - b;
    if (sign === "*") return a * b;
    if (b === 0) throw new Error(`${config.where}: a count that divides another is 0; write a whole number above 0`);
    return sign === "/" ? a / b : Math.floor(a / b);
  }

  function check(family, config) {
    if (family.refused) {
      const key = family.refused.keys.find(each => config.stated(each)) || "model_type";
      throw config.refuse(key, family.refused.because);
    }
    for (const [key, expected] of Object.entries(family.expect || {})) {
      if (config.stated(key) === undefined) continue;
      const several = expected.multiple_of && config.must(expected.multiple_of);
      const holds = expected.multiple_of ? several > 0 && config.must(key) % several === 0
        : [].concat(config.stated(key)).every(value => value === expected.value);
      if (!holds) throw config.refuse(key, expected.else);
    }
    if (config.must("num_hidden_layers") > MOST_LAYERS) throw config.refuse("num_hidden_layers", `is more than ${MOST_LAYERS} layers`);
  }

  function shape(family, config) {
    check(family, config);
    const rules = {...family.layers, ...family.counts}, fields = {}, expressions = {...family.fields};
    for (const [field, rule] of Object.entries(rules)) {
      fields[field] = picked(rule, config).length;
      if (fields[field]) Object.assign(expressions, rule.fields);
    }
    const mixers = expressions.num_mixer_only_layers;
    const alone = mixers === undefined ? fields.num_mixer_only_layers || 0 : value_of(mixers, fields, config);
    const layers = value_of(expressions.num_layers, {}, config);
    if (alone + (fields.num_moe_layers || 0) >= layers) expressions.intermediate_size = 0;  // no layer is dense
    for (const [field, expression] of Object.entries(expressions)) {
      const value = value_of(expression, fields, config);
      if (value < 0) throw new Error(`${config.where}: ${field} = ${value}: is less than a model can have`);
      fields[field] = value;
    }
    const due = [...DATA.due.always, ...(fields.num_moe_layers ? DATA.due.with_experts : [])];
    if (expressions.intermediate_size !== 0) due.push("intermediate_size");
    for (const field of due) {
      if (field in fields && fields[field] < 1) throw new Error(`${config.where}: ${field} = ${fields[field]}: must be at least 1`);
    }
    if ((fields.experts_per_token || 0) > (fields.num_experts || 0)) throw new Error(`${config.where}: experts_per_token: is more experts than there are`);
    for (const name of Object.keys(family.counts || {})) delete fields[name];
    return fields;
  }

  function precision(values, fields, where) {
    const quantised = QUANTISED.find(key => values[key]), stated = key => values[key] !== undefined && values[key] !== null;
    if (quantised) throw new Error(`${where}: ${quantised}: the page reads no quantised model; ${instead(where)}`);
    const key = stated("dtype") ? "dtype" : "torch_dtype";
    const bits = stated(key) ? bits_of(key, values, where) : DATA.dtypes.bfloat16;
    const state = fields.num_recurrent_layers ? DATA.state_dtypes.find(stated) : undefined;
    return {
      weight_bits: bits, kv_bits: Math.max(bits, DATA.cached_at_least),
      ...(state ? {state_bits: bits_of(state, values, where)} : {}),
    };
  }

  function bits_of(key, values, where) {
    const name = typeof values[key] === "string" ? values[key].replace(/^torch\./, "") : "";
    if (Object.hasOwn(DATA.dtypes, name)) return DATA.dtypes[name];
    throw new Error(`${where}: ${key} = ${JSON.stringify(values[key])}: is not a known dtype; write one of ${Object.keys(DATA.dtypes).join(", ")}`);
  }

  /* The fields of a model from the content of its config.json. */
  function read(content, where) {
    const inner = TEXT_PARTS.map(part => content[part]).find(is_table);
    const values = {...content, ...inner};
    if (Array.isArray(values.block_configs)) throw new Error(`${where}: block_configs: the page reads no model that states each layer by itself; ${instead(where)}`);
    const family = family_of(values, where), fields = shape(family, new Config(values, where, family));
    const stated = Object.fromEntries(Object.entries({...fields, ...precision(values, fields, where)}).filter(([, value]) => value));
    for (const [name, value] of Object.entries(stated)) jaxlimits.numbers.checked(name, value);
    const classes = [].concat(content.architectures || "a model");
    return {values: stated, title: `${content._name_or_path || classes[0]} (from ${where})`};
  }

  return {read};
})();
