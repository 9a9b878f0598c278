/* The map: its menus, what it says of a cell, and how it moves the point. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.map = (function () {
  const {DATA, numbers, point} = jaxlimits, {made, used} = jaxlimits.form;
  const {AXES, METRICS, values_of, words_of, nearest, axes_of} = jaxlimits.axes;
  const {frame, region, metric_info} = jaxlimits.drawing;
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

  /* Compute the map about a state's point, and draw it. */
  function show(state, fields) {
    const {metric} = state.map, {x, y} = axes_of(state, fields);
    for (const which of ["x", "y", "metric"]) {
      const {select} = inputs[which], value = {x, y, metric}[which];
      if (![...select.options].some(option => option.value === value)) select.append(made("option", {value}, words_of(value)));
      select.value = value;
    }
    const across = values_of(x, state, fields, "x"), up = values_of(y, state, fields, "y");
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

  const draw = () => jaxlimits.drawing.draw(document.getElementById("map"), drawn);

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
    const lacking = kind < 3 && Number.isNaN(drawn.values[at]) ? point.reason(drawn.metric, drawn.fields, {feasible: 1}) : null;
    const value = drawn.metric === "limit" || kind > 2 ? "" : `${words_of(drawn.metric)} ${lacking ? `has no value: ${DATA.reasons[lacking]}` : numbers.shown(metric_info(), drawn.values[at])}; `;
    const what = kind === 4 ? DATA.reasons.cannot_be : kind === 3 ? DATA.reasons.does_not_fit : `${value}${DATA.limits[kind]} binds`;
    document.getElementById("map-said").textContent = `${cell ? "Here" : "The cross"}: ${where}. ${what[0].toUpperCase()}${what.slice(1)}.`;
  }

  function move(page, [column, row]) {
    page.set_several({[drawn.x.name]: drawn.x.values[column], [drawn.y.name]: drawn.y.values[row]});
  }

  return {build, show};
})();
