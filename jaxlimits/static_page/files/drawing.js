/* Draws a map: colours, hatches where nothing fits, lines where what binds changes, names, axes. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.drawing = (function () {
  const {DATA, numbers} = jaxlimits, {made} = jaxlimits.form;
  const {words_of, nearest, round_values, even_values, place_of} = jaxlimits.axes;
  const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]
    .map(colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16)));
  const BINDING = {0: [0, 158, 115], 1: [86, 180, 233], 2: [230, 159, 0], 3: [213, 94, 0]};
  let drawn = null;

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

  /* Draw a map on a canvas. */
  function draw(canvas, map) {
    drawn = map;
    const ratio = devicePixelRatio || 1;
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

  return {draw, frame, region, metric_info};
})();
