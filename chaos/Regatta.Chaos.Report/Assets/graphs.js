// Rates, latencies and lag over time, and the overview in the bar.
const axis = 58;

function drawValueAxis(pen, area, top, bottom, ticks) {
  pen.font = smallFont;
  pen.textAlign = "right";
  for (const { y, label } of ticks) {
    pen.fillStyle = palette.line;
    pen.fillRect(area.left, Math.round(y), area.right - area.left, 1);
    pen.fillStyle = palette.muted;
    pen.fillText(label, area.left - 6, Math.min(bottom - 2, Math.max(top + 4, y)));
  }
  pen.textAlign = "left";
  pen.font = font;
}

function drawRates(of, pen, area, top, bottom) {
  const step = Math.max(1, Math.ceil(2 / area.perSecond));
  const bars = buckets(of, area.from, area.until, step);
  const scale = niceTop(bars.reduce((highest, bar) => Math.max(highest, bar.total / step), 0));
  const y = value => bottom - value / scale * (bottom - top);
  drawValueAxis(pen, area, top, bottom, [0, scale / 2, scale].map(value => ({ y: y(value), label: `${short(value, scale)}/s` })));
  for (const bar of bars) {
    const x = Math.max(area.left, area.x(bar.from));
    const width = Math.max(0, Math.min(area.right, area.x(bar.until)) - x - (area.perSecond * step > 5 ? 1 : 0));
    let foot = 0;
    for (const outcome of ["unknown", "refused", "answered"]) {
      if (!bar[outcome]) continue;
      pen.fillStyle = palette[outcome];
      const head = foot + bar[outcome] / step;
      pen.fillRect(x, y(head), width, Math.max(1, y(foot) - y(head)));
      foot = head;
    }
  }
}

// The same logarithmic scale in all graphs, over the whole run: they can be compared.
const latencyScale = (() => {
  let low = Infinity, high = 0;
  for (const of of series.kinds) for (let second = 0; second < of.max.length; second++) {
    if (!of.answered[second] || !(of.max[second] > 0)) continue;
    low = Math.min(low, of.p50[second] > 0 ? of.p50[second] : of.max[second]);
    high = Math.max(high, of.max[second]);
  }
  return high ? { low: Math.floor(Math.log10(low)), high: Math.max(Math.ceil(Math.log10(high)), Math.floor(Math.log10(low)) + 1) } : { low: 0, high: 3 };
})();

function drawLatencies(of, pen, area, top, bottom) {
  const { low, high } = latencyScale;
  const y = milliseconds => bottom - (Math.log10(Math.max(milliseconds, 10 ** low)) - low) / (high - low) * (bottom - top);
  const every = Math.ceil((high - low) / 4);
  const ticks = [];
  for (let power = low; power <= high; power += every) ticks.push({ y: y(10 ** power), label: latency(10 ** power) });
  drawValueAxis(pen, area, top, bottom, ticks);
  const step = Math.max(1, Math.ceil(2 / area.perSecond));
  const points = buckets(of, area.from - step, area.until + step, step);
  clipped(pen, area, () => {
    for (const [name, width] of [["max", 1], ["p99", 1.25], ["p50", 1.75]])
      drawLine(pen, points.map(point => ({ x: area.x((point.from + point.until) / 2), y: point.answered ? y(point[name]) : null })), palette[name], width);
  });
}

function clipped(pen, area, draw) {
  pen.save();
  pen.beginPath();
  pen.rect(area.left, 0, area.right - area.left, area.height);
  pen.clip();
  draw();
  pen.restore();
}

// A line with gaps where there is no value; a value alone between gaps is a dot.
function drawLine(pen, points, colour, width) {
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.lineJoin = "round";
  pen.beginPath();
  points.forEach((point, index) => {
    if (point.y === null) return;
    const after = points[index - 1] && points[index - 1].y !== null;
    const before = points[index + 1] && points[index + 1].y !== null;
    if (after) pen.lineTo(point.x, point.y); else pen.moveTo(point.x, point.y);
    if (!after && !before) pen.fillRect(point.x - 1, point.y - 1, 2.5, 2.5);
  });
  pen.stroke();
}

function graph(host, height, title, draw, lines) {
  const top = 22, foot = 20;
  new Panel(host, {
    left: axis,
    height: () => height,
    draw: (pen, area) => {
      shadeFaults(pen, area, top, height - foot);
      drawTimeAxis(pen, area, height - 8, height - foot);
      draw(pen, area, top, height - foot);
      pen.fillStyle = palette.ink;
      pen.font = "600 " + font;
      pen.fillText(fit(pen, title, area.right - area.left), area.left, 9);
    },
    hover: (area, x) => x < area.left ? null : [...lines(area, area.time(x)), ...faultNames(area.time(x))]
  });
}

function faultNames(time) {
  const now = faultsAt(time);
  const named = now.slice(0, 6).map(fault => `fault: ${fault.kind}, ${fault.target}`);
  return now.length > 6 ? [...named, `and ${now.length - 6} more`] : named;
}

function linesOf(of) {
  return (area, time) => {
    const step = Math.max(1, Math.ceil(2 / area.perSecond));
    const from = Math.floor(time / step) * step;
    return rateLines(of, bucket(of, from, from + step));
  };
}

function startRates() {
  const host = document.getElementById("kinds");
  const whole = make("div", "wide");
  host.append(whole);
  graph(whole, 150, "all kinds: operations per second", (...place) => drawRates(series.all, ...place), linesOf(series.all));
  for (const of of series.kinds) {
    graph(host, 112, `${of.name}: per second`, (...place) => drawRates(of, ...place), linesOf(of));
    graph(host, 112, `${of.name}: latency`, (...place) => drawLatencies(of, ...place), linesOf(of));
  }
}

const lagColour = index => palette[`series-${index % 6}`];

function drawLag(column, label, pen, area, top, bottom) {
  if (!lags.length) {
    pen.fillText("No lag was measured.", area.left + 8, (top + bottom) / 2);
    return;
  }
  const shown = lags.map(({ points }) => points.filter((point, index) =>
    (points[index + 1]?.at ?? point.at) >= area.from && (points[index - 1]?.at ?? point.at) <= area.until));
  const scale = niceTop(shown.flat().reduce((highest, point) => Math.max(highest, point[column] ?? 0), 0));
  const y = value => bottom - value / scale * (bottom - top);
  drawValueAxis(pen, area, top, bottom, [0, scale / 2, scale].map(value => ({ y: y(value), label: label(value, scale) })));
  clipped(pen, area, () => shown.forEach((points, index) =>
    drawLine(pen, points.map(point => ({ x: area.x(point.at), y: point[column] === null ? null : y(point[column]) })), lagColour(index), 1.5)));
}

function lagLines(column, label) {
  return (area, time) => [moment(time, 1), ...lags.map(({ name, points }) => {
    const nearest = points.reduce((best, point) => Math.abs(point.at - time) < Math.abs(best.at - time) ? point : best);
    return `${name}: ${nearest[column] === null ? "unknown" : label(nearest[column])}`;
  })];
}

function startLag() {
  const host = document.getElementById("lags");
    graph(host, 140, "lag in time", (...place) => drawLag("milliseconds", latency, ...place), lagLines("milliseconds", latency));
  graph(host, 140, "lag in revisions", (...place) => drawLag("revisions", short, ...place), lagLines("revisions", value => `${count(value)} revisions`));
  const key = document.getElementById("lag-key");
  lags.forEach(({ name }, index) => {
    const item = make("li");
    item.append(make("span", `key series-${index % 6}`), name);
    key.append(item);
  });
}

function drawOverview(pen, area) {
  const top = 2, bottom = area.height - 16;
  shadeFaults(pen, area, top, bottom);
  const step = Math.max(1, Math.ceil(2 / area.perSecond));
  const bars = buckets(series.all, 0, runLength, step);
  const highest = bars.reduce((highest, bar) => Math.max(highest, bar.total), 1);
  for (const bar of bars) {
    const x = area.x(bar.from), width = Math.max(1, area.x(bar.until) - x);
    const tall = (bottom - top) * bar.total / highest, bad = (bottom - top) * (bar.refused + bar.unknown) / highest;
    pen.fillStyle = palette.answered;
    pen.fillRect(x, bottom - tall, width, tall);
    pen.fillStyle = palette.refused;
    pen.fillRect(x, bottom - bad, width, bad);
  }
  drawTimeAxis(pen, area, area.height - 7, bottom);
  if (isWhole()) return;
  pen.fillStyle = palette.paper;
  pen.globalAlpha = 0.72;
  pen.fillRect(area.left, 0, area.x(view.from) - area.left, bottom);
  pen.fillRect(area.x(view.until), 0, area.right - area.x(view.until), bottom);
  pen.globalAlpha = 1;
  pen.strokeStyle = palette.ink;
  pen.strokeRect(area.x(view.from), 0.5, Math.max(2, area.x(view.until) - area.x(view.from)), bottom - 1);
}

function startOverview() {
  new Panel(document.getElementById("overview"), { left: 8, height: () => 52, draw: drawOverview, hover: (area, x) => linesOf(series.all)(area, area.time(x)), whole: true });
}
