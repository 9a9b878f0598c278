/* The axes of a map: which values they have about a point, and which round values label them. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.axes = (function () {
  const {DATA, numbers} = jaxlimits;
  const COLUMNS = 100, ROWS = 60;
  const DOUBLED = ["tp_size", "pp_size", "ep_size", "dp_size", "cp_size", "dense_tp_size", "ffn_chips"];
  const RANGES = {
    batch_size: [1, 1024], seq_len: [256, 1048576], input_len: [64, 262144], output_len: [16, 16384],
    tp_size: [1, 128], pp_size: [1, 32], ep_size: [1, 128], dp_size: [1, 64], cp_size: [1, 64],
    weight_bits: [2, 16], kv_bits: [2, 16], sync_latency: [1e-7, 2e-5], link_bw: [1e10, 2e12], chip_price: [1e3, 1e5],
  };
  const AXES = {
    batch_size: "batch size", seq_len: "context", input_len: "prompt", output_len: "answer",
    tp_size: "tensor parallel", pp_size: "pipeline parallel", ep_size: "expert parallel", dp_size: "replicas",
    mem_bw: "memory bandwidth", mem_capacity: "memory capacity", peak_flops: "compute at 8 bits", link_bw: "link rate",
    sync_latency: "latency of a collective", all_to_all_latency: "latency of an all-to-all", hop_latency: "latency of a hop",
    weight_bits: "bits of a weight", kv_bits: "bits of the KV cache", chip_price: "price of a chip", electricity_price: "price of electricity",
  };
  const METRICS = {
    stps: "throughput of the system", utps: "speed of one user", tpot: "time of one token", stps_per_chip: "throughput by chip",
    capacity_utilisation: "memory filled", flops_utilisation: "compute used", bandwidth_utilisation: "bandwidth used",
    t_mem: "memory time of a step", t_compute: "compute time of a step", t_sync: "synchronisation of a step",
    power: "power", energy_per_token: "energy of a token", dollars_per_token: "cost of tokens",
    ttft: "time to the first token", request_latency: "time of a request", limit: "what binds",
  };

  /* Values of an axis about a point: in equal ratios, whole where the field is. */
  function values_of(name, state, fields, which) {
    const info = DATA.fields[name], count = which === "x" ? COLUMNS : ROWS;
    const here = fields[name] > 0 ? fields[name] : undefined;  // 0 or NaN is a field that is not set
    const [low, high] = RANGES[name] || [(here || info.scale) / 8, (here || info.scale) * 8];
    let from = state.map[`${which}_from`] || Math.min(low, here || low), to = state.map[`${which}_to`] || Math.max(high, here || high);
    if (from > to) [from, to] = [to, from];
    const steps = Array.from({length: count}, (_, n) => from * (to / from) ** (n / (count - 1)));
    const doubled = Array.from({length: 17}, (_, n) => 2 ** n).filter(value => value >= from && value <= to);
    const listed = DOUBLED.includes(name) ? doubled : info.whole ? steps.map(Math.round) : steps;
    const values = [...new Set(listed)].filter(value => numbers.admits(info, value));
    const axis = {name, info, words: words_of(name), here: fields[name], values: values.length ? values : [here || info.scale]};
    axis.holds_here = here >= axis.values[0] && here <= axis.values[axis.values.length - 1];
    if (axis.holds_here) axis.values[nearest(axis, here)] = here;  // the cross is the point itself
    return axis;
  }

  const words_of = name => AXES[name] || METRICS[name] || (DATA.fields[name] || DATA.metrics[name]).meaning;

  function nearest(axis, value) {
    let best = 0;
    axis.values.forEach((each, at) => { if (Math.abs(Math.log(each / value)) < Math.abs(Math.log(axis.values[best] / value))) best = at; });
    return best;
  }

  /* The axes of a map: two, and those that count, since a request has a length of its own. */
  function axes_of({map}, {input_len}) {
    const counted = name => name === "seq_len" && input_len > 0 ? "input_len" : name;
    const x = counted(map.x), y = counted(map.y);
    return {x, y: y === x ? Object.keys(AXES).find(name => name !== x) : y};
  }

  /* At most so many round values between two, in equal ratios: 1, 2, 5, 10, or powers of 2. */
  function round_values(low, high, scale, most, doubling = false) {
    const within = values => values.filter(value => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
    const powers = (base, step, of) => within(Array.from({length: 200}, (_, n) => n - 100).filter(n => n % step === 0)
      .flatMap(n => of.map(first => first * base ** n * scale)));
    const tries = doubling
      ? [1, 2, 3, 4, 5].map(step => powers(2, step, [1]))
      : [powers(10, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9]), powers(10, 1, [1, 2, 5]), powers(10, 1, [1, 3]), ...[1, 2, 3, 4].map(step => powers(10, step, [1]))];
    const found = tries.find(values => values.length <= most) || [];
    return found.length > 1 ? found : [low, high];
  }

  /* At most so many round values between two, in equal steps. */
  function even_values(low, high, scale, most) {
    const span = (high - low) / scale, power = 10 ** Math.floor(Math.log10(span / most));
    const step = [1, 2, 5, 10].map(each => each * power).find(each => span / each <= most) * scale;
    const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
    return Array.from({length: Math.max(count, 0)}, (_, n) => (first + n) * step);
  }

  /* Where a value lies among those of an axis, in cells. */
  function place_of(values, value) {
    const after = values.findIndex(each => each >= value * (1 - 1e-9));
    if (after <= 0) return after < 0 ? values.length - 1 : 0;
    return after - 1 + Math.log(value / values[after - 1]) / Math.log(values[after] / values[after - 1]);
  }

  return {AXES, METRICS, values_of, words_of, nearest, axes_of, round_values, even_values, place_of};
})();
