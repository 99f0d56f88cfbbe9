// The selected time, which every graph and table follows, and how times and numbers are written.
const view = { from: 0, until: runLength };
const followers = [];
const shortest = 0.02;

function follow(redraw) { followers.push(redraw); }

function select(from, until) {
  const low = Math.max(0, Math.min(from, until));
  const high = Math.min(runLength, Math.max(from, until));
  if (!(high - low >= shortest)) return;
  view.from = low;
  view.until = high;
  const address = isWhole() ? "#" : `#t=${low.toFixed(3)},${high.toFixed(3)}`;
  history.replaceState(null, "", address);
  followers.forEach(redraw => redraw());
}

function selectWhole() { select(0, runLength); }

function isWhole() { return view.from === 0 && view.until === runLength; }

function selectFromAddress() {
  const [, from, until] = /^#t=([\d.]+),([\d.]+)$/.exec(location.hash) ?? [];
  if (from === undefined) return false;
  select(Number(from), Number(until));
  return true;
}

function moment(seconds, digits = 0) {
  if (seconds === Infinity) return "the end";
  const unit = 10 ** digits;
  const units = Math.round(seconds * unit);
  const minutes = Math.floor(units / unit / 60);
  const rest = (units - minutes * 60 * unit) / unit;
  return `${minutes}:${rest.toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

const tickSteps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

function timeTicks(from, until, most) {
  const step = tickSteps.find(step => (until - from) / step <= most) ?? 7200;
  const digits = step >= 1 ? 0 : Math.ceil(-Math.log10(step));
  const ticks = [];
  for (let number = Math.ceil(from / step); number * step <= until; number++) ticks.push({ at: number * step, label: moment(number * step, digits) });
  return ticks;
}

function count(number) { return Math.round(number).toLocaleString("en-US"); }

// In the unit that suits `scale`: the labels of one axis have the same.
function short(number, scale = number) {
  if (number === 0) return "0";
  if (scale >= 1e6) return `${+(number / 1e6).toPrecision(3)} M`;
  if (scale >= 1e4) return `${+(number / 1e3).toPrecision(3)} k`;
  return number >= 100 ? count(number) : `${+number.toPrecision(3)}`;
}

function latency(milliseconds, scale = milliseconds) {
  return scale >= 1000 ? `${+(milliseconds / 1000).toPrecision(3)} s` : `${+milliseconds.toPrecision(3)} ms`;
}

function niceTop(highest) {
  if (!(highest > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(highest));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map(factor => factor * unit).find(top => top >= highest);
}

// Colours are the style sheet's, read again when the reader's theme changes.
let palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "muted", "line", "paper", "answered", "refused", "unknown", "fault", "shade", "up", "starting", "core", "p50", "p99", "max",
    "series-0", "series-1", "series-2", "series-3", "series-4", "series-5"];
  palette = Object.fromEntries(names.map(name => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function make(name, kind, content) {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (content !== undefined) element.textContent = content;
  return element;
}
