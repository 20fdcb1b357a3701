// Works every control of every interactive on the page and notes what happened on the body.
const faults = [], results = [];
window.addEventListener("error", event => faults.push(event.message));

function work(control) {
  if (control.tagName === "BUTTON") return control.click();
  if (control.type === "checkbox") control.checked = !control.checked;
  else if (control.tagName === "SELECT") control.selectedIndex = (control.selectedIndex + 1) % control.length;
  else control.value = +control.value === +control.min ? control.max : control.min;
  control.dispatchEvent(new Event(control.type === "range" ? "input" : "change"));
}

for (const root of document.querySelectorAll(".ll-interactive")) {
  const seen = () => root.innerHTML + JSON.stringify(root.dataset);
  const controls = [...root.querySelectorAll("input, select, button")];
  const states = new Set([seen()]);
  let dead = 0;
  for (const control of controls) {
    const before = seen();
    control.focus();
    const held = document.activeElement === control;
    try { work(control); } catch (error) { faults.push(error.message); }
    if (held && document.activeElement === document.body)
      faults.push(root.dataset.interactive + " takes the keyboard's place away");
    states.add(seen());
    if (seen() === before && control.tagName !== "BUTTON" && control.length !== 1) dead += 1;
  }
  const fits = root.scrollWidth <= root.clientWidth;
  results.push([root.dataset.interactive, controls.length, states.size, dead, fits].join(":"));
}
document.body.setAttribute("data-results", results.join("|"));
document.body.setAttribute("data-faults", faults.join("|"));
