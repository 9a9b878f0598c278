/* The map: one metric over two fields, where what binds changes, and where nothing fits. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.map = (function () {
  const {DATA, numbers, point} = jaxlimits, {made, used} = jaxlimits.form;
  const COLUMNS = 100, ROWS = 60;
  const DOUBLED = ["tp_size", "pp_size", "ep_size", "dp_size", "cp_size", "dense_tp_size"];
  const RANGES = {
    batch_size: [1, 1024], seq_len: [256, 1048576], input_len: [64, 262144], output_len: [16, 16384],
    tp_size: [1, 128], pp_size: [1, 32], ep_size: [1, 128], dp_size: [1, 64], cp_size: [1, 64],
    weight_bits: [2, 16], kv_bits: [2, 16], sync_latency: [1e-7, 2e-5],
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
  const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]
    .map(colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16)));
  const BINDING = {0: [0, 158, 115], 1: [86, 180, 233], 2: [230, 159, 0], 3: [213, 94, 0]};
  const inputs = {};
  let drawn = null;

  function build(page) {
    const place = document.getElementById("map-controls");
    place.append(axis(page, "x", "Across"), axis(page, "y", "Up"), menu(page));
    const canvas = document.getElementById("map");
    canvas.addEventListener("mousemove", event => say(cell_at(event)));
    canvas.addEventListener("mouseleave", () => say(null));
    canvas.addEventListener("click", event => { const cell = cell_at(event); if (cell) move(page, cell); });
    canvas.addEventListener("keydown", event => {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
      if (!step || !drawn) return;
      event.preventDefault();
      const clip = (at, axis) => Math.max(0, Math.min(axis.values.length - 1, at));
      move(page, [clip(nearest(drawn.x, drawn.x.here) + step[0], drawn.x), clip(nearest(drawn.y, drawn.y.here) + step[1], drawn.y)]);
    });
    new ResizeObserver(() => { if (drawn) draw(); }).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (drawn) draw(); });
  }

  function axis(page, which, label) {
    const select = made("select", {id: `map-${which}`}, ...Object.entries(AXES).filter(([name]) => name in used).map(([name, words]) => made("option", {value: name}, words)));
    select.addEventListener("change", () => page.set_map({[which]: select.value, [`${which}_from`]: undefined, [`${which}_to`]: undefined}));
    const ends = ["from", "to"].map(end => {
      const input = made("input", {inputmode: "decimal", "aria-label": `${label}: ${end}`, placeholder: end});
      input.addEventListener("change", () => {
        try {
          page.set_map({[`${which}_${end}`]: input.value.trim() === "" ? undefined : numbers.read(select.value, input.value)});
          input.setAttribute("aria-invalid", "false");
        } catch (error) {
          input.setAttribute("aria-invalid", "true");
          document.getElementById("map-said").textContent = error.message;
        }
      });
      return input;
    });
    inputs[which] = {select, ends};
    return made("div", {class: "field"}, made("label", {for: `map-${which}`}, label), select, made("div", {class: "range"}, ...ends));
  }

  function menu(page) {
    const select = made("select", {id: "map-metric"}, ...Object.entries(METRICS).map(([name, words]) => made("option", {value: name}, words)));
    select.addEventListener("change", () => page.set_map({metric: select.value}));
    inputs.metric = {select};
    return made("div", {class: "field"}, made("label", {for: "map-metric"}, "Colour"), select);
  }

  /* Values of an axis about a point: in equal ratios, whole where the field is. */
  function values_of(name, state, fields, which, count) {
    const info = DATA.fields[name], here = fields[name] > 0 ? fields[name] : info.scale;
    const [low, high] = RANGES[name] || [here / 8, here * 8];
    let from = state.map[`${which}_from`] || Math.min(low, here), to = state.map[`${which}_to`] || Math.max(high, here);
    if (from > to) [from, to] = [to, from];
    const steps = Array.from({length: count}, (_, n) => from * (to / from) ** (n / (count - 1)));
    const doubled = Array.from({length: 17}, (_, n) => 2 ** n).filter(value => value >= from && value <= to);
    const listed = DOUBLED.includes(name) ? doubled : info.whole ? steps.map(Math.round) : steps;
    const values = [...new Set(listed)].filter(value => numbers.admits(info, value));
    const axis = {name, info, words: words_of(name), here: fields[name], values: values.length ? values : [here]};
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

  /* Compute the map about a state's point, and draw it. */
  function show(state, fields) {
    const {metric} = state.map, {x, y} = axes_of(state, fields);
    for (const which of ["x", "y", "metric"]) {
      const {select} = inputs[which], value = {x, y, metric}[which];
      if (![...select.options].some(option => option.value === value)) select.append(made("option", {value}, words_of(value)));
      select.value = value;
    }
    const across = values_of(x, state, fields, "x", COLUMNS), up = values_of(y, state, fields, "y", ROWS);
    for (const [which, axis] of [["x", across], ["y", up]]) {
      inputs[which].ends.forEach((input, at) => {
        if (document.activeElement !== input) input.value = numbers.edited(axis.info, axis.values[at ? axis.values.length - 1 : 0]);
      });
    }
    const found = point.map(fields, across, up, [metric]);
    drawn = {state, fields, x: across, y: up, metric, found, values: found[metric]};
    draw();
    say(null);
  }

  function scale_of(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    const log = low > 0 && high > 8 * low;
    const at = value => low === high ? 0.5 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const back = share => log ? low * (high / low) ** share : low + share * (high - low);
    return {low, high, log, at, back, some: low <= high};
  }

  function colour_of(share) {
    const place = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1), first = Math.min(Math.floor(place), VIRIDIS.length - 2);
    return VIRIDIS[first].map((part, at) => part + (place - first) * (VIRIDIS[first + 1][at] - part));
  }

  /* What a cell is: what binds, 3 where it does not fit, 4 where it cannot be. */
  const region = cell => drawn.found.cannot_be[cell] ? 4 : drawn.found.feasible[cell] ? drawn.found.limit[cell] : 3;

  function frame(canvas) {
    const box = {left: 74, right: drawn.metric === "limit" ? 12 : 78, top: 28, bottom: 50};
    return {...box, width: canvas.clientWidth - box.left - box.right, height: canvas.clientHeight - box.top - box.bottom};
  }

  function draw() {
    const canvas = document.getElementById("map"), ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d"), box = frame(canvas), look = getComputedStyle(document.documentElement);
    const ink = look.getPropertyValue("--ink"), paper = look.getPropertyValue("--paper");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    const scale = scale_of(drawn.values), dark = matchMedia("(prefers-color-scheme: dark)").matches;
    paint(pen, box, scale, dark);
    hatch(pen, box, dark ? "#70757d" : "#8d929a");
    borders(pen, box);
    pen.strokeStyle = ink;
    pen.strokeRect(box.left, box.top, box.width, box.height);
    names(pen, box, ink, paper);
    cross(pen, box);
    pen.fillStyle = pen.strokeStyle = ink;
    ticks(pen, box, canvas);
    if (drawn.metric !== "limit" && scale.some) legend(pen, box, scale);
    canvas.setAttribute("aria-label", `Map: ${words_of(drawn.metric)}, over ${drawn.x.words} and ${drawn.y.words}.`);
  }

  function paint(pen, box, scale, dark) {
    const columns = drawn.x.values.length, rows = drawn.y.values.length;
    const small = made("canvas", {width: columns, height: rows}), inner = small.getContext("2d");
    const image = inner.createImageData(columns, rows), none = dark ? [44, 48, 55] : [233, 235, 238];
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const cell = row * columns + column, kind = region(cell), value = drawn.values[cell];
      const colour = kind === 4 ? none : drawn.metric === "limit" ? (kind === 3 ? none : BINDING[kind]) : Number.isFinite(value) ? colour_of(scale.at(value)) : none;
      image.data.set([...colour, 255], 4 * ((rows - 1 - row) * columns + column));
    }
    inner.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, box.left, box.top, box.width, box.height);
  }

  const left_of = (box, column) => box.left + box.width * column / drawn.x.values.length;
  const top_of = (box, row) => box.top + box.height * (1 - (row + 1) / drawn.y.values.length);

  function hatch(pen, box, colour) {
    const columns = drawn.x.values.length, rows = drawn.y.values.length;
    pen.save();
    pen.beginPath();
    for (let cell = 0; cell < columns * rows; cell++) {
      if (region(cell) !== 3) continue;
      const column = cell % columns, row = Math.floor(cell / columns);
      pen.rect(left_of(box, column), top_of(box, row), box.width / columns + 0.5, box.height / rows + 0.5);
    }
    pen.clip();
    pen.beginPath();
    for (let at = -box.height; at < box.width; at += 9) {
      pen.moveTo(box.left + at, box.top + box.height);
      pen.lineTo(box.left + at + box.height, box.top);
    }
    pen.strokeStyle = colour;
    pen.stroke();
    pen.restore();
  }

  function borders(pen, box) {
    const columns = drawn.x.values.length, rows = drawn.y.values.length;
    pen.beginPath();
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const cell = row * columns + column, here = region(cell), x = left_of(box, column), y = top_of(box, row);
      if (column && region(cell - 1) !== here) { pen.moveTo(x, y); pen.lineTo(x, y + box.height / rows); }
      if (row && region(cell - columns) !== here) { pen.moveTo(x, y + box.height / rows); pen.lineTo(x + box.width / columns, y + box.height / rows); }
    }
    for (const [colour, width] of [["#ffffff", 3], ["#000000", 1.2]]) {
      pen.strokeStyle = colour; pen.lineWidth = width; pen.stroke();
    }
    pen.lineWidth = 1;
  }

  /* The name of each region, at its cell that is farthest from all else. */
  function names(pen, box, ink, paper) {
    const columns = drawn.x.values.length, rows = drawn.y.values.length, deep = {};
    const words = {...DATA.limits, 3: DATA.reasons.does_not_fit, 4: DATA.reasons.cannot_be};
    const depth = new Float64Array(columns * rows);
    const past = (cell, other, inside, step) => inside && region(other) === region(cell) ? depth[other] + step : step;
    const wide = box.width / columns, high = 2.5 * box.height / rows;  // words are wider than high
    for (const back of [false, true]) for (let n = 0; n < columns * rows; n++) {
      const cell = back ? columns * rows - 1 - n : n, column = cell % columns, row = Math.floor(cell / columns);
      const side = back ? past(cell, cell + 1, column < columns - 1, wide) : past(cell, cell - 1, column > 0, wide);
      const over = back ? past(cell, cell + columns, row < rows - 1, high) : past(cell, cell - columns, row > 0, high);
      depth[cell] = Math.min(back ? depth[cell] : Infinity, side, over);
    }
    depth.forEach((each, cell) => {
      const kind = region(cell);
      if (!(kind in deep) || each > depth[deep[kind]]) deep[kind] = cell;
    });
    pen.font = "600 13px system-ui, sans-serif";
    pen.textAlign = "center"; pen.textBaseline = "middle";
    for (const [kind, cell] of Object.entries(deep)) {
      if (depth[cell] < 14) continue;
      const width = pen.measureText(words[kind]).width + 12;
      const middle = left_of(box, cell % columns + 0.5), x = Math.max(box.left + width / 2, Math.min(box.left + box.width - width / 2, middle));
      const y = Math.max(box.top + 12, Math.min(box.top + box.height - 12, top_of(box, Math.floor(cell / columns) - 0.5)));
      pen.fillStyle = paper; pen.globalAlpha = 0.88;
      pen.fillRect(x - width / 2, y - 11, width, 22);
      pen.globalAlpha = 1; pen.fillStyle = ink;
      pen.fillText(words[kind], x, y);
    }
  }

  function cross(pen, box) {
    if (!drawn.x.holds_here || !drawn.y.holds_here) return;
    const [column, row] = [nearest(drawn.x, drawn.x.here), nearest(drawn.y, drawn.y.here)];
    const x = left_of(box, column + 0.5), y = top_of(box, row - 0.5);
    for (const [colour, width] of [["#ffffff", 5], ["#c02000", 2.2]]) {
      pen.strokeStyle = colour; pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(x - 9, y); pen.lineTo(x + 9, y); pen.moveTo(x, y - 9); pen.lineTo(x, y + 9);
      pen.stroke();
    }
    pen.lineWidth = 1;
  }

  /* Shares are read in per cent. */
  function metric_info() {
    const shares = ["capacity_utilisation", "flops_utilisation", "bandwidth_utilisation"];
    return shares.includes(drawn.metric) ? {unit: "1", display: "%", scale: 0.01} : DATA.metrics[drawn.metric];
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

  const short = (info, value) => numbers.shown({...info, display: "1"}, value, 3);

  function ticks(pen, box, canvas) {
    pen.font = "12px system-ui, sans-serif";
    const titled = ({info, words}) => { const unit = numbers.typeset(info.display); return `${words}${unit ? ` [${unit}]` : ""}`; };
    const along = ({values, info, name}, most) => {
      if (values.length <= most) return values.map((value, at) => [value, at]);
      const doubling = info.whole || info.unit === "token";
      return round_values(values[0], values[values.length - 1], info.scale, most, doubling).map(value => [value, place_of(values, value)]);
    };
    pen.textAlign = "center"; pen.textBaseline = "top";
    for (const [value, column] of along(drawn.x, Math.max(2, Math.floor(box.width / 56)))) {
      pen.fillText(short(drawn.x.info, value), left_of(box, column + 0.5), box.top + box.height + 6);
    }
    pen.fillText(titled(drawn.x), box.left + box.width / 2, box.top + box.height + 28);
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [value, row] of along(drawn.y, Math.max(2, Math.floor(box.height / 36)))) {
      pen.fillText(short(drawn.y.info, value), box.left - 6, top_of(box, row - 0.5));
    }
    pen.save();
    pen.translate(12, box.top + box.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(titled(drawn.y), 0, 0);
    pen.restore();
  }

  function legend(pen, box, scale) {
    const left = box.left + box.width + 12, info = metric_info();
    for (let at = 0; at < box.height; at++) {
      pen.fillStyle = `rgb(${colour_of(1 - at / box.height).map(Math.round).join(",")})`;
      pen.fillRect(left, box.top + at, 12, 1.5);
    }
    pen.fillStyle = pen.strokeStyle;
    pen.textAlign = "left"; pen.textBaseline = "middle";
    const most = Math.max(2, Math.floor(box.height / 40));
    const listed = scale.low === scale.high ? [scale.low] : scale.log ? round_values(scale.low, scale.high, info.scale, most) : even_values(scale.low, scale.high, info.scale, most);
    for (const value of listed) {
      const y = box.top + box.height * (1 - scale.at(value));
      pen.fillText(short(info, value), left + 17, Math.max(box.top + 7, Math.min(box.top + box.height - 7, y)));
    }
    pen.textAlign = "right"; pen.textBaseline = "bottom";
    pen.fillText(numbers.typeset(info.display), left + 64, box.top - 6);
  }

  function cell_at(event) {
    if (!drawn) return null;
    const box = frame(event.target), columns = drawn.x.values.length, rows = drawn.y.values.length;
    const column = Math.floor(columns * (event.offsetX - box.left) / box.width);
    const row = rows - 1 - Math.floor(rows * (event.offsetY - box.top) / box.height);
    return column >= 0 && column < columns && row >= 0 && row < rows ? [column, row] : null;
  }

  /* Say what a cell is; without one, what the cross marks. */
  function say(cell) {
    if (!drawn) return;
    if (!cell && !(drawn.x.holds_here && drawn.y.holds_here)) {
      document.getElementById("map-said").textContent = "The point lies outside the map.";
      return;
    }
    const here = cell || [nearest(drawn.x, drawn.x.here), nearest(drawn.y, drawn.y.here)];
    const at = here[1] * drawn.x.values.length + here[0], kind = region(at);
    const where = `${drawn.x.words} ${numbers.shown(drawn.x.info, drawn.x.values[here[0]])}, ${drawn.y.words} ${numbers.shown(drawn.y.info, drawn.y.values[here[1]])}`;
    const value = drawn.metric === "limit" || kind > 2 ? "" : `${words_of(drawn.metric)} ${numbers.shown(metric_info(), drawn.values[at])}; `;
    const what = kind === 4 ? DATA.reasons.cannot_be : kind === 3 ? DATA.reasons.does_not_fit : `${value}${DATA.limits[kind]} binds`;
    document.getElementById("map-said").textContent = `${cell ? "Here" : "The cross"}: ${where}. ${what[0].toUpperCase()}${what.slice(1)}.`;
  }

  function move(page, [column, row]) {
    page.set_several({[drawn.x.name]: drawn.x.values[column], [drawn.y.name]: drawn.y.values[row]});
  }

  return {build, show};
})();
