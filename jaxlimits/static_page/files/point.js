/* One point: what is chosen, as numbers of every field, and what the model says of it. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.point = (function () {
  const {DATA, PROGRAMS} = jaxlimits;
  const evaluators = PROGRAMS.map(() => null);
  const own_power = ["power", "capital_cost"];

  /* Every field of a chip from those that it states; beside: names of fields that are set. */
  function chip_values(stated, beside, assumed) {
    const given = {...stated};
    if (!("peak_vector_flops" in given) && "peak_flops" in given) {
      given.peak_vector_flops = DATA.vector_share * given.peak_flops;
    }
    const known = new Set([...Object.keys(given), ...beside]);
    const lacking = Object.keys(DATA.stated_by).filter(
      lead => !DATA.stated_by[lead].some(field => known.has(field)));
    const taken = {};
    for (const lead of lacking) {
      for (const field of DATA.inputs[lead]) if (field in assumed) taken[field] = assumed[field];
    }
    const whole = known.has("die_area") || "die_area" in taken ? {} : {die_area: 0, mem_energy: 0};
    const absent = {};
    for (const lead of lacking) {
      if (!DATA.stated_by[lead].some(field => field in taken)) absent[lead] = NaN;
    }
    return {...DATA.defaults.chip, ...whole, ...taken, ...absent, ...given};
  }

  /* The bits of a model's parts where it states those of all. */
  function model_values(stated) {
    const given = {...stated};
    for (const [part, setter] of Object.entries(DATA.set_by)) {
      if (given[setter] && !(part in given)) given[part] = given[setter];
    }
    for (const setter of Object.values(DATA.set_by)) delete given[setter];
    return {...DATA.defaults.llm, ...given};
  }

  function entry(state, kind) {
    const own = state.own[kind];
    return own && own.name === state[kind] ? own : DATA[`${kind}s`][state[kind]];
  }

  /* Fields of a state in SI units, before what is set by hand. */
  function base_fields(state) {
    const assumed = state.assume ? DATA.assumptions[state.assume].values : {};
    const joined = state.interconnect ? DATA.interconnects[state.interconnect].values : {};
    return {
      ...DATA.defaults.deployment, ...DATA.defaults.site, ...DATA.defaults.request,
      ...model_values(entry(state, "llm").values),
      ...chip_values(entry(state, "chip").values, Object.keys(state.set), assumed),
      ...joined,
    };
  }

  function all_fields(state) {
    return {...base_fields(state), ...state.set};
  }

  /* Why a state cannot be computed, one sentence each. */
  function problems(state) {
    const found = [];
    for (const [part, setter] of Object.entries(DATA.set_by)) {
      if (part in state.set && state.set[setter] > 0) {
        found.push(`${part} and ${setter} exclude each other; set ${setter} to 0, which leaves each part its own bits`);
      }
    }
    return found;
  }

  function evaluator(fields, axes = []) {
    const serves = program => Object.entries(program.without).every(
      ([field, most]) => fields[field] <= most && !axes.some(axis => axis.name === field));
    const place = PROGRAMS.findIndex(serves);
    return evaluators[place] = evaluators[place] || new jaxlimits.Evaluator(PROGRAMS[place]);
  }

  /* Metrics of every field's values, and what does not hold between them. */
  function evaluate(fields) {
    const found = evaluator(fields).at(fields);
    return {metrics: found, broken: broken(found, "rule"), remarks: broken(found, "remark")};
  }

  function broken(found, kind) {
    return DATA[`${kind}s`].filter((_, n) => !found[`${kind}_${n}`])
      .map(({says, remedy}) => `${says}; ${remedy}`);
  }

  /* A map of some metrics; cells in which fields exclude each other are marked in `cannot_be`. */
  function map(fields, x, y, names) {
    const rules = DATA.rules.map((_, n) => `rule_${n}`);
    const found = evaluator(fields, [x, y]).map(fields, x, y, [...new Set([...names, "feasible", "limit", ...rules])]);
    found.cannot_be = found.feasible.map((_, cell) => rules.some(rule => !found[rule][cell]) ? 1 : 0);
    return found;
  }

  /* The reason why a metric has no value, by the package's names of reasons. */
  function reason(name, fields, metrics) {
    if (DATA.requested.includes(name) && !(fields.input_len > 0)) return "no_request";
    const rests_on = DATA.rests_on[name] || [];
    const unstated = rests_on.some(field => Number.isNaN(fields[field]));
    if (unstated && (metrics.feasible || own_power.includes(name))) return "not_stated";
    return "does_not_fit";
  }

  /* What binds, in a sentence. */
  function binding(metrics) {
    if (!metrics.feasible) {
      const times = Number(metrics.capacity_utilisation.toPrecision(3));
      return `${DATA.reasons.does_not_fit}: it needs ${times}× the usable memory`;
    }
    const words = `${DATA.limits[metrics.limit]} binds`;
    if (!Number.isFinite(metrics.limit_factor)) return words;
    const better = Number(metrics.limit_factor.toPrecision(3));
    return `${words}; once that is ${better}× better, ${DATA.limits[metrics.next_limit]} becomes the limit`;
  }

  return {chip_values, model_values, entry, base_fields, all_fields, problems, evaluate, map, reason, binding};
})();
