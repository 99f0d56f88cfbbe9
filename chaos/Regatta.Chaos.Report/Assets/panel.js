// A canvas with a time axis: drag selects, a double click shows the whole run, hovering shows a line in all panels and a tip.
const panels = [];
const tip = document.getElementById("tip");
const font = "12px system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";
const smallFont = font.replace("12px", "11px");

class Panel {
  // height() in pixels; draw(pen, area); hover(area, x, y) gives the lines of the tip, or nothing. `whole`: always the whole run.
  constructor(host, { left, height, draw, hover, whole = false }) {
    Object.assign(this, { left, height, draw, hover, whole });
    this.box = make("div", "panel");
    this.canvas = make("canvas");
    this.cursor = make("div", "cursor");
    this.brush = make("div", "brush");
    this.box.append(this.canvas, this.cursor, this.brush);
    host.append(this.box);
    this.listen();
    panels.push(this);
    follow(() => this.redraw());
  }

  area() {
    const width = this.box.clientWidth;
    const [from, until] = this.whole ? [0, runLength] : [view.from, view.until];
    const left = this.left, right = width - 8;
    const perSecond = (right - left) / (until - from);
    return {
      left, right, width, height: this.height(), from, until, perSecond,
      x: time => left + (Math.min(time, until + 1e6) - from) * perSecond,
      time: x => from + (Math.min(right, Math.max(left, x)) - left) / perSecond
    };
  }

  redraw() {
    const area = this.area();
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = area.width * scale;
    this.canvas.height = area.height * scale;
    this.canvas.style.width = `${area.width}px`;
    this.canvas.style.height = `${area.height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = font;
    pen.textBaseline = "middle";
    this.draw(pen, area);
  }

  listen() {
    let start = null;
    const at = event => event.clientX - this.box.getBoundingClientRect().left;
    this.box.addEventListener("pointerdown", event => {
      if (event.button !== 0) return;
      start = at(event);
      this.box.setPointerCapture(event.pointerId);
    });
    this.box.addEventListener("pointermove", event => {
      if (start !== null) this.showBrush(start, at(event));
      this.point(event);
    });
    this.box.addEventListener("pointerup", event => {
      const from = start, until = at(event);
      start = null;
      this.brush.style.display = "none";
      if (from === null || Math.abs(until - from) < 5) return;
      const area = this.area();
      select(area.time(from), area.time(until));
    });
    this.box.addEventListener("pointercancel", () => {
      start = null;
      this.brush.style.display = "none";
    });
    this.box.addEventListener("pointerleave", unpoint);
    this.box.addEventListener("dblclick", selectWhole);
  }

  showBrush(from, until) {
    const area = this.area();
    const clamp = x => Math.min(area.right, Math.max(area.left, x));
    this.brush.style.display = "block";
    this.brush.style.left = `${clamp(Math.min(from, until))}px`;
    this.brush.style.width = `${Math.abs(clamp(until) - clamp(from))}px`;
  }

  point(event) {
    const box = this.box.getBoundingClientRect();
    const area = this.area();
    const x = event.clientX - box.left;
    if (x >= area.left) panels.forEach(panel => panel.showCursor(area.time(x)));
    const lines = this.hover(area, x, event.clientY - box.top);
    if (lines) showTip(lines, event); else tip.hidden = true;
  }

  showCursor(time) {
    const area = this.area();
    const inside = time >= area.from && time <= area.until;
    this.cursor.style.display = inside ? "block" : "none";
    if (inside) this.cursor.style.left = `${area.x(time)}px`;
  }
}

function unpoint() {
  tip.hidden = true;
  panels.forEach(panel => { panel.cursor.style.display = "none"; });
}

// The first line is the tip's title.
function showTip(lines, event) {
  tip.replaceChildren(...lines.map((line, index) => make("div", index ? "" : "title", line)));
  tip.hidden = false;
  const right = event.clientX + 16 + tip.offsetWidth > window.innerWidth;
  const below = event.clientY + 16 + tip.offsetHeight > window.innerHeight;
  tip.style.left = `${Math.max(4, right ? event.clientX - 12 - tip.offsetWidth : event.clientX + 16)}px`;
  tip.style.top = `${Math.max(4, below ? event.clientY - 12 - tip.offsetHeight : event.clientY + 16)}px`;
}

function fit(pen, label, width) {
  if (pen.measureText(label).width <= width) return label;
  let low = 0, high = label.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(label.slice(0, middle) + "…").width <= width) low = middle; else high = middle - 1;
  }
  return low < 2 ? "" : label.slice(0, low) + "…";
}

function drawTimeAxis(pen, area, y, top) {
  pen.font = smallFont;
  pen.textAlign = "center";
  for (const { at, label } of timeTicks(area.from, area.until, Math.max(2, (area.right - area.left) / 80))) {
    const x = Math.round(area.x(at)) + 0.5;
    pen.fillStyle = palette.line;
    pen.fillRect(x - 0.5, top, 1, y - 6 - top);
    pen.fillStyle = palette.muted;
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(area.width - half, Math.max(half, x)), y);
  }
  pen.textAlign = "left";
  pen.font = font;
}

// Faults behind a graph: the more at once, the darker.
function shadeFaults(pen, area, top, bottom) {
  const shown = faultsIn(area.from, area.until);
  pen.save();
  pen.fillStyle = palette.shade;
  pen.globalAlpha = Math.min(0.16, Math.max(0.05, 6 / shown.length));
  for (const fault of shown) {
    const x = Math.max(area.left, area.x(fault.from));
    pen.fillRect(x, top, Math.max(1, Math.min(area.right, area.x(fault.until)) - x), bottom - top);
  }
  pen.restore();
}

function faultsIn(from, until) { return faults.filter(fault => fault.from <= until && fault.until >= from); }

function faultsAt(time) { return faults.filter(fault => fault.from <= time && fault.until >= time); }
