// The tables that follow the selected time.
function fill(host, headings, rows, none) {
  if (!rows.length) {
    host.replaceChildren(make("p", "quiet", none));
    return;
  }
  const head = make("tr");
  head.append(...headings.map(([title, kind]) => make("th", kind, title)));
  const table = make("table"), thead = make("thead"), tbody = make("tbody");
  thead.append(head);
  tbody.append(...rows);
  table.append(thead, tbody);
  host.replaceChildren(table);
}

// The value in whose middle the operations are: each second weighs as much as it answered.
function middle(of, column, from, until) {
  const seconds = [];
  let weight = 0;
  for (let second = from; second < Math.min(until, of.answered.length); second++) {
    if (!of.answered[second]) continue;
    seconds.push(second);
    weight += of.answered[second];
  }
  seconds.sort((a, b) => of[column][a] - of[column][b]);
  let passed = 0;
  for (const second of seconds) {
    passed += of.answered[second];
    if (passed * 2 >= weight) return of[column][second];
  }
  return null;
}

function shareBar(sum) {
  const bar = make("span", "share");
  for (const outcome of outcomes) {
    if (!sum[outcome]) continue;
    const part = make("span", outcome);
    part.style.flexGrow = sum[outcome] / sum.total;
    bar.append(part);
  }
  return bar;
}

function operationRow(of) {
  const from = Math.floor(view.from), until = Math.ceil(view.until);
  const sum = bucket(of, from, until);
  const milliseconds = value => make("td", "number", sum.answered && value !== null ? latency(value) : "–");
  const row = make("tr");
  const share = make("td");
  share.append(shareBar(sum));
  row.append(
    make("td", "name", of.name), make("td", "number", count(sum.total)), share,
    ...outcomes.map(outcome => make("td", sum[outcome] ? "number" : "number quiet", count(sum[outcome]))),
    make("td", "number", short(sum.total / Math.max(1, Math.min(until, runLength) - from))),
    milliseconds(middle(of, "p50", from, until)), milliseconds(middle(of, "p99", from, until)), milliseconds(sum.p99), milliseconds(sum.max));
  return row;
}

function fillOperations() {
  const right = title => [title, "number"];
  fill(document.getElementById("operation-table"),
    [["Kind"], right("Operations"), ["Outcomes"], right("Answered"), right("Refused"), right("Unknown"), right("Per second"),
      right("p50"), right("p99"), right("p99, worst second"), right("Max")],
    series.kinds.map(operationRow), "The run has no operations.");
}

function faultRow(fault) {
  const row = make("tr");
  row.append(
    make("td", "number", moment(fault.from, 1)), make("td", "number", moment(fault.until, 1)),
    make("td", "name", fault.kind), make("td", "", fault.target), make("td", "", fault.note));
  return row;
}

function fillFaults() {
  fill(document.getElementById("fault-list"),
    [["From", "number"], ["Until", "number"], ["Kind"], ["Target"], ["What came of it"]],
    faultsIn(view.from, view.until).map(faultRow), "No fault in this time.");
}

function startTables() {
  follow(fillOperations);
  follow(fillFaults);
}
