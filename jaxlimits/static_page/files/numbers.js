/* Numbers as people write and read them, by the units of each field. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.numbers = (function () {
  const {DATA} = jaxlimits;
  const SIGNS = {"µ": "u", "μ": "u", "²": "^2", "$": "USD"};

  function typeset(unit) {
    return unit === "1" ? "" : unit.replace(/\bu(?=[a-zA-Z])/, "µ").replace("^2", "²");
  }

  function digits(value, count) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e15 || size < 1e-4) return value.toExponential(count - 1).replace("e+", "e");
    const most = size >= 10 ** count ? {maximumFractionDigits: 0} : {maximumSignificantDigits: count};
    return value.toLocaleString("en", most);
  }

  /* A value of SI as text in the unit in which people read it. */
  function shown(info, value, count = 4) {
    if (Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "no end" : "–";
    const unit = typeset(info.display), text = digits(value / info.scale, count);
    return unit ? `${text} ${unit}` : text;
  }

  /* The same without its unit, exact, for a field that people edit. */
  function edited(info, value) {
    if (value === null || Number.isNaN(value)) return "";
    const exact = value / info.scale, short = Number(exact.toPrecision(12));
    return String(Math.abs(short * info.scale - value) <= 1e-12 * Math.abs(value) ? short : exact);
  }

  /* What somebody wrote, in SI: a number in the shown unit, or a number with a unit. */
  function read(name, text) {
    const info = DATA.fields[name];
    const plain = text.trim().replace(/[µμ²$]/g, sign => SIGNS[sign]);
    const grouped = plain.replace(/^([+-]?\d{1,3})((?:,\d{3})+)(?![\d,])/, (_, first, rest) => first + rest.replace(/,/g, ""));
    const found = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\d))?)\s*(.*)$/.exec(grouped);
    if (!found) throw new Error(`${name} = ${text}: no number; write it as ${info.example}`);
    const [, number, unit] = found;
    return checked(name, Number(number) * factor(name, unit.replace(/\s/g, ""), text), text);
  }

  function factor(name, unit, text) {
    const info = DATA.fields[name], known = DATA.spellings[info.unit];
    if (unit === "") return info.scale;
    if (Object.hasOwn(known, unit)) return known[unit];
    if (unit === info.display) return info.scale;
    throw new Error(`${name} = ${text}: ${unit} is not a unit of this field; write it as ${info.example}`);
  }

  /* A value of SI, unless its field cannot take it. */
  function checked(name, value, text = String(value)) {
    if (!admits(DATA.fields[name], value)) {
      throw new Error(`${name} = ${text}: must be ${DATA.fields[name].bounds}`);
    }
    return value;
  }

  function admits(info, value) {
    if (info.unset === "NaN" ? Number.isNaN(value) : info.unset === value) return true;
    if (!Number.isFinite(value)) return false;
    if (info.allowed) return info.allowed.includes(value);
    if (info.whole && !Number.isInteger(value)) return false;
    const lower = info.lower === undefined ? 0 : info.lower;
    return (info.positive ? value > 0 : value >= lower) && value <= (info.upper === undefined ? Infinity : info.upper);
  }

  return {typeset, shown, edited, read, checked, admits};
})();
