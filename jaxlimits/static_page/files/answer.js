/* The metrics of the point: tiles, the parts of a step, the memory, a table of all. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.answer = (function () {
  const {DATA, numbers, point} = jaxlimits, {made} = jaxlimits.form;
  const TILES = {
    utps: "speed of one user", stps: "throughput of the system", tpot: "time of one token of a user",
    capacity_utilisation: "memory filled", max_batch_size: "largest batch that fits", num_chips: "chips",
    users: "sequences in flight", power: "power", dollars_per_token: "cost of tokens",
    ttft: "time to the first token", request_latency: "time of a request",
  };
  const SHARES = ["capacity_utilisation", "bandwidth_utilisation", "flops_utilisation", "prefill_share"];
  const CODES = {limit: DATA.limits, next_limit: DATA.limits, feasible: {0: "does not fit", 1: "fits"}};
  const by_id = id => document.getElementById(id);

  /* A metric as people read it, or the reason why it has no value. */
  function shown(name, fields, metrics) {
    const value = metrics[name];
    if (name in CODES) return CODES[name][value];
    if (Number.isNaN(value)) return DATA.reasons[point.reason(name, fields, metrics)];
    if (SHARES.includes(name)) return `${numbers.shown({display: "1", scale: 0.01}, value, 3)} %`;
    return numbers.shown(DATA.metrics[name], value);
  }

  function show(fields, found, said) {
    by_id("problems").replaceChildren(...[...said, ...found.broken].map(words => made("p", {class: "problem"}, words)));
    by_id("remarks").replaceChildren(...found.remarks.map(words => made("li", {}, words)));
    const {metrics} = found, cannot = found.broken.length > 0;
    by_id("binding").textContent = cannot ? `This point ${DATA.reasons.cannot_be}.` : `${point.binding(metrics)}.`;
    by_id("brief").textContent = cannot ? `This point ${DATA.reasons.cannot_be}` : brief(fields, metrics);
    for (const id of ["tiles", "times", "memory", "metrics"]) by_id(id).hidden = cannot;
    if (cannot) return;
    show_tiles(fields, metrics);
    show_times(metrics);
    show_memory(metrics);
    by_id("metrics").querySelector("tbody").replaceChildren(...Object.entries(DATA.metrics).map(([name, {meaning}]) =>
      made("tr", {}, made("th", {scope: "row"}, `${meaning} `, made("code", {}, name)),
        made("td", {"data-metric": name}, shown(name, fields, metrics)))));
  }

  /* The answer in one line, which a phone always shows. */
  function brief(fields, metrics) {
    if (!metrics.feasible) return point.binding(metrics);
    return `${shown("utps", fields, metrics)} for one user, ${shown("stps", fields, metrics)} in all; ${DATA.limits[metrics.limit]} binds`;
  }

  function show_tiles(fields, metrics) {
    const names = Object.keys(TILES).filter(name => !DATA.requested.includes(name) || fields.input_len > 0);
    by_id("tiles").replaceChildren(...names.map(name => made("div", {}, made("dt", {}, TILES[name]),
      made("dd", {class: Number.isNaN(metrics[name]) ? "words" : ""}, ...tile(shown(name, fields, metrics))))));
  }

  /* A number, and its unit in smaller letters; words stay as they are. */
  function tile(text) {
    const [, number, unit] = /^([\d.,e-]+) (.+)$/.exec(text) || [null, text, ""];
    return unit ? [number, " ", made("span", {class: "unit"}, unit)] : [number];
  }

  function bar(label, text, ...pieces) {
    const filled = pieces.map(([share, colour]) => {
      const piece = made("i");
      piece.style.width = `${100 * Math.max(0, Math.min(share, 1))}%`;
      piece.style.background = `var(--${colour})`;
      return piece;
    });
    return [made("span", {}, label), made("span", {class: "bar", "aria-hidden": "true"}, ...filled), made("span", {class: "number"}, text)];
  }

  function show_times(metrics) {
    const place = by_id("times"), whole = metrics.t_step;
    place.hidden = Number.isNaN(whole);
    if (place.hidden) return;
    const parts = {t_mem: ["memory", "memory"], t_compute: ["compute", "compute"], t_sync: ["synchronisation", "sync"]};
    const rows = Object.entries(parts).flatMap(([name, [label, colour]]) =>
      bar(label, numbers.shown(DATA.metrics[name], metrics[name]), [metrics[name] / whole, colour]));
    place.replaceChildren(made("div", {class: "bars"},
      made("h3", {}, `One step takes ${numbers.shown(DATA.metrics.t_step, whole)}`), ...rows,
      made("p", {}, "Memory and compute overlap; synchronisation adds to the longer of the two.")));
  }

  function show_memory(metrics) {
    const held = metrics.weight_bytes + metrics.kv_bytes, room = held / metrics.capacity_utilisation;
    const scale = Math.max(held, room), info = DATA.metrics.weight_bytes;
    const title = `One replica has ${numbers.shown(info, room)} of usable memory`;
    by_id("memory").replaceChildren(made("div", {class: "bars"}, made("h3", {}, title),
      ...bar("weights", numbers.shown(info, metrics.weight_bytes), [metrics.weight_bytes / scale, "accent"]),
      ...bar("KV cache", numbers.shown(info, metrics.kv_bytes), [metrics.weight_bytes / scale, "panel"], [metrics.kv_bytes / scale, "accent"]),
      ...bar("usable memory", numbers.shown(info, room), [room / scale, metrics.feasible ? "quiet" : "capacity"])));
  }

  return {show, shown};
})();
