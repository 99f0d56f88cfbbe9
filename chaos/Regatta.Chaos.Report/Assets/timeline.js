// What happened when: a lane for the failing history's clients, for each kind of operation, each node, each link and whatever else was a target.
const gutter = 176;
const rowHeight = 17;

// Into rows, so that none overlaps another of its row.
function stack(items) {
  const ends = [];
  return items.map(item => {
    const free = ends.findIndex(end => end <= item.from);
    const row = free < 0 ? ends.length : free;
    ends[row] = item.until;
    return { ...item, row };
  });
}

function targetLane(name) {
  const own = stack(faults.filter(fault => fault.target === name));
  own.forEach((fault, index) => { fault.next = own.slice(index + 1).find(later => later.row === fault.row)?.from ?? Infinity; });
  const rows = own.reduce((rows, fault) => Math.max(rows, fault.row + 1), 1);
  return { name, label: name.replace(/^link\s+/i, ""), draw: drawTarget, faults: own, states: nodeStates(name), events: events.filter(event => event.node === name), height: rows * rowHeight + 9 };
}

// From the first words of a node's events: when it was starting and when it was ready.
function nodeStates(name) {
  const states = [];
  for (const event of events.filter(event => event.node === name)) {
    const word = event.what.split(/[^a-z]/i)[0].toLowerCase();
    const state = { started: "starting", ready: "up", killed: "down", ended: "down", stopped: "down", goes: "up" }[word];
    if (!state) continue;
    if (states.length) states[states.length - 1].until = event.at;
    states.push({ state, from: event.at, until: runLength });
  }
  return states;
}

function laneGroups() {
  const nodes = [...new Set(raw.events.map(([node]) => text(node)))];
  const targets = [...new Set(faults.map(fault => fault.target))].filter(name => !nodes.includes(name)).sort();
  const isLink = name => /^link\b/i.test(name);
  const coreClients = [...new Set(core.map(call => call.client))].sort();
  return [
    { title: "Failing history", lanes: coreClients.map(name => ({ name, label: name, draw: drawCoreClient, height: 18 })) },
    { title: "Operations", lanes: series.kinds.map(kind => ({ name: kind.name, label: kind.name, draw: drawKind, series: kind, height: 23 })) },
    { title: "Nodes", lanes: nodes.map(targetLane) },
    { title: "Links", lanes: targets.filter(isLink).map(targetLane) },
    { title: "Other targets", lanes: targets.filter(name => !isLink(name)).map(targetLane) }
  ].filter(group => group.lanes.length);
}

const groups = laneGroups();
const groupTitle = 24;
let marks = [];

function mark(x, y, width, height, lines) { marks.push({ x, y, width, height, lines }); }

function drawCoreClient(pen, area, lane, y) {
  for (const call of core.filter(call => call.client === lane.name)) drawCall(pen, area, call, y + 3, 10, 4);
}

function drawCall(pen, area, call, y, height, narrowest) {
  if (call.began > area.until || call.ended < area.from) return;
  const x = Math.max(area.left, area.x(call.began));
  const width = Math.max(narrowest, Math.min(area.right, area.x(call.ended)) - x);
  pen.fillStyle = palette[call.outcome];
  pen.fillRect(x, y, width, height);
  mark(x - 1, y - 1, width + 2, height + 2, () => [
    `${call.kind}, ${call.outcome}`, call.what, `→ ${call.answer}`, `${call.client} at ${call.node}`,
    `${moment(call.began, 4)} – ${moment(call.ended, 4)}${call.ended === Infinity ? "" : ` (${latency((call.ended - call.began) * 1000)})`}`]);
}

// A cell per bucket, the darker the more operations; what was refused or is unknown rises from its foot.
function drawKind(pen, area, lane, y) {
  const step = Math.max(1, Math.ceil(3 / area.perSecond));
  const close = area.until - area.from <= 30;
  const cells = buckets(lane.series, area.from, area.until, step);
  const highest = cells.reduce((highest, cell) => Math.max(highest, cell.total), 1);
  const height = 18;
  for (const cell of cells.filter(cell => cell.total > 0)) {
    const x = Math.max(area.left, area.x(cell.from));
    const width = Math.max(0, Math.min(area.right, area.x(cell.until)) - x - (area.perSecond * step > 6 ? 1 : 0));
    const part = number => number ? Math.max(2, height * number / cell.total) : 0;
    const refused = part(cell.refused), unknown = part(cell.unknown);
    pen.globalAlpha = (0.12 + 0.62 * Math.sqrt(cell.total / highest)) * (close ? 0.3 : 1);
    pen.fillStyle = palette.answered;
    if (cell.answered) pen.fillRect(x, y + 2, width, Math.max(0, height - refused - unknown));
    pen.globalAlpha = close ? 0.3 : 1;
    pen.fillStyle = palette.refused;
    pen.fillRect(x, y + 2 + height - refused - unknown, width, refused);
    pen.fillStyle = palette.unknown;
    pen.fillRect(x, y + 2 + height - unknown, width, unknown);
    pen.globalAlpha = 1;
    mark(x, y, width + 1, height + 4, () => rateLines(lane.series, cell));
  }
  if (close) drawCalls(pen, area, lane, y + 3);
}

function drawCalls(pen, area, lane, y) {
  for (const call of calls) {
    if (call.began > area.until) break;
    if (call.kind !== lane.name || call.began < area.from - longestCall) continue;
    drawCall(pen, area, call, y + clients.indexOf(call.client) % 5 * 3, 3, 3);
  }
}

function drawTarget(pen, area, lane, y) {
  const foot = y + lane.height - 6;
  for (const { state, from, until } of lane.states) {
    if (state === "down" || from > area.until || until < area.from) continue;
    const x = Math.max(area.left, area.x(from));
    pen.fillStyle = palette[state];
    pen.fillRect(x, foot, Math.max(1, Math.min(area.right, area.x(until)) - x), 3);
  }
  for (const fault of lane.faults) drawFault(pen, area, fault, y + 1 + fault.row * rowHeight);
  for (const event of lane.events) drawEvent(pen, area, event, foot);
}

function drawFault(pen, area, fault, y) {
  if (fault.from > area.until || fault.until < area.from) return;
  const x = Math.max(area.left, area.x(fault.from));
  const width = Math.max(3, Math.min(area.right, area.x(fault.until)) - x);
  pen.fillStyle = palette.fault;
  pen.fillRect(x, y, width - (width > 6 ? 1 : 0), rowHeight - 2);
  drawFaultName(pen, area, fault, x, width, y + rowHeight / 2 - 0.5);
  mark(x, y, width, rowHeight - 2, () => faultLines(fault));
}

// In its bar when it fits, else beside it when there is room before the next, else cut.
function drawFaultName(pen, area, fault, x, width, y) {
  pen.font = smallFont;
  const needed = pen.measureText(fault.kind).width;
  const beside = Math.min(area.right, area.x(fault.next)) - x - width - 6;
  if (needed > width - 8 && beside >= Math.min(needed, 50)) {
    pen.fillStyle = palette.ink;
    pen.fillText(fit(pen, fault.kind, beside), x + width + 3, y);
  } else if (width > 34) {
    pen.fillStyle = palette.paper;
    pen.fillText(fit(pen, fault.kind, width - 8), x + 4, y);
  }
  pen.font = font;
}

function drawEvent(pen, area, event, foot) {
  if (event.at > area.until || event.at < area.from) return;
  const x = area.x(event.at);
  const bad = !/^(started|ready|goes)\b/i.test(event.what);
  pen.fillStyle = bad ? palette.core : palette.muted;
  pen.beginPath();
  if (bad) { pen.moveTo(x, foot - 4); pen.lineTo(x + 5, foot + 1); pen.lineTo(x, foot + 6); pen.lineTo(x - 5, foot + 1); }
  else pen.rect(x - 0.5, foot - 2, 1, 7);
  pen.fill();
  mark(x - 5, foot - 5, 10, 12, () => [event.node, `${event.what}, at ${moment(event.at, 3)}`]);
}

function faultLines(fault) {
  const lasted = fault.until === Infinity ? "" : ` (${latency((fault.until - fault.from) * 1000)})`;
  return [fault.kind, fault.target, `${moment(fault.from, 1)} – ${moment(fault.until, 1)}${lasted}`, fault.note].filter(line => line !== "");
}

function rateLines(of, cell) {
  const seconds = Math.min(cell.until, runLength) - cell.from;
  const time = cell.until - cell.from === 1 ? moment(cell.from) : `${moment(cell.from)} – ${moment(cell.until)}`;
  const lines = [`${of.name}, ${time}`, `${short(cell.total / Math.max(seconds, 1))} per second`,
    `${count(cell.answered)} answered, ${count(cell.refused)} refused, ${count(cell.unknown)} unknown`];
  if (cell.max > 0) lines.push(`p50 ${latency(cell.p50)}, p99 ${latency(cell.p99)}, max ${latency(cell.max)}`);
  return lines;
}

function drawLanes(pen, area) {
  marks = [];
  drawTimeAxis(pen, area, 9, 18);
  drawTimeAxis(pen, area, area.height - 8, area.height - 18);
  let y = 18;
  for (const group of groups) {
    pen.font = "600 " + smallFont;
    pen.fillStyle = palette.muted;
    pen.fillText(group.title.toUpperCase(), 0, y + groupTitle / 2 + 2);
    y += groupTitle;
    pen.font = font;
    for (const lane of group.lanes) {
      pen.fillStyle = palette.line;
      pen.fillRect(0, y + lane.height - 1, area.right, 1);
      pen.fillStyle = palette.ink;
      pen.fillText(fit(pen, lane.label, gutter - 14), 0, y + lane.height / 2);
      mark(0, y, gutter - 6, lane.height, () => [lane.name]);
      lane.draw(pen, area, lane, y);
      y += lane.height;
    }
  }
  if (!groups.length) pen.fillText("Nothing happened: the run has no operations, faults or events.", 0, 46);
}

function lanesHeight() {
  return groups.reduce((height, group) => height + groupTitle + group.lanes.reduce((sum, lane) => sum + lane.height, 0), groups.length ? 40 : 92);
}

function hoverLanes(area, x, y) {
  const hit = marks.findLast(mark => x >= mark.x && x <= mark.x + mark.width && y >= mark.y && y <= mark.y + mark.height);
  return hit ? hit.lines() : x >= area.left ? [moment(area.time(x), 1)] : null;
}

function startTimeline() {
  new Panel(document.getElementById("lanes"), { left: gutter, height: lanesHeight, draw: drawLanes, hover: hoverLanes });
}
