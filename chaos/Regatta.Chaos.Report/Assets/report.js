// Starts everything.
function showSelected() {
  const digits = view.until - view.from < 10 ? 2 : 0;
  const selected = document.getElementById("selected");
  selected.textContent = isWhole() ? `the whole run, ${moment(runLength)}` : `${moment(view.from, digits)} – ${moment(view.until, digits)} of ${moment(runLength)}`;
  document.getElementById("reset").disabled = isWhole();
}

function redrawAll() {
  readPalette();
  followers.forEach(redraw => redraw());
}

readPalette();
startOverview();
startTimeline();
startRates();
startLag();
startTables();
follow(showSelected);
document.getElementById("reset").addEventListener("click", selectWhole);
window.addEventListener("hashchange", () => {
  if (selectFromAddress()) document.getElementById("timeline").scrollIntoView();
});
window.addEventListener("resize", redrawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
if (!selectFromAddress()) redrawAll();
