/* Runs the translated program of the model: at one point, or over a map of two fields.
   An operation runs again only where a field on which it rests has changed. */
"use strict";
var jaxlimits = globalThis.jaxlimits = globalThis.jaxlimits || {};

jaxlimits.Evaluator = class {
  constructor(program) {
    this.program = program;
    this.values = new Float64Array(program.size);
    this.stale = new Uint8Array(program.parts.length).fill(1);
    this.parts_of = {};  // by group of fields: the parts that rest on it
    program.parts.forEach(([groups], part) => {
      for (const group of groups) (this.parts_of[group] = this.parts_of[group] || []).push(part);
    });
  }

  set(fields) {
    const {inputs, group} = this.program;
    for (const name in fields) {
      const place = inputs[name];
      if (place === undefined || Object.is(this.values[place], fields[name])) continue;
      this.values[place] = fields[name];
      for (const part of this.parts_of[group[name]] || []) this.stale[part] = 1;
    }
  }

  run() {
    const {parts} = this.program;
    for (let part = 0; part < parts.length; part++) {
      if (this.stale[part]) parts[part][3](this.values);
    }
    this.stale.fill(0);
  }

  /* The outputs at a point: fields by name in SI units. */
  at(fields) {
    this.set(fields);
    this.run();
    const found = {};
    for (const name in this.program.outputs) found[name] = this.values[this.program.outputs[name]];
    return found;
  }

  /* Some outputs over a map: for each a Float64Array, row by row from the first value of y. */
  map(fields, x, y, outputs) {
    this.at(fields);
    const {inputs, group, parts} = this.program, v = this.values;
    const on = axis => new Set(this.parts_of[group[axis.name]] || []);
    const on_x = on(x), on_y = on(y), all = parts.map((_, part) => part);
    const columns = all.filter(part => on_x.has(part) && !on_y.has(part));
    const rows = all.filter(part => on_y.has(part) && !on_x.has(part)).map(part => parts[part][3]);
    const cells = all.filter(part => on_x.has(part) && on_y.has(part)).map(part => parts[part][3]);
    const saved = x.values.map(value => {
      v[inputs[x.name]] = value;
      return columns.map(part => {
        const [, first, end, run] = parts[part];
        run(v);
        return [first, v.slice(first, end)];
      });
    });
    const found = {}, places = outputs.map(name => this.program.outputs[name]);
    const arrays = outputs.map(name => found[name] = new Float64Array(x.values.length * y.values.length));
    let cell = 0;
    for (const value of y.values) {
      v[inputs[y.name]] = value;
      for (const run of rows) run(v);
      for (let column = 0; column < saved.length; column++, cell++) {
        v[inputs[x.name]] = x.values[column];
        for (const [first, numbers] of saved[column]) v.set(numbers, first);
        for (const run of cells) run(v);
        for (let n = 0; n < places.length; n++) arrays[n][cell] = v[places[n]];
      }
    }
    for (const part of [...on_x, ...on_y]) this.stale[part] = 1;
    return found;
  }
};
