// The red team's screen: Enter in the field sends, the clock runs while somebody is there, and the
// kernel hears that somebody is.
(() => {
  if (window.llAttack) return;
  window.llAttack = true;
  const AWAY = 60000, TELL = 10000; // milliseconds; the first as in work_clock.py
  let alive = Date.now(), told = 0, clock = null, shownAt = 0;
  const field = () => document.querySelector(".ll-ask textarea");
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable=true]");

  function here() {
    alive = Date.now();
    if (alive - told < TELL) return;
    told = alive;
    document.querySelector(".ll-alive")?.click();
  }
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel"])
    document.addEventListener(sign, here, {capture: true, passive: true});

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const box = field();
    if (!box || box.offsetParent === null) return;
    if (event.target !== box) {
      if (event.key !== "t" || typing(event.target)) return;
      box.focus();
    } else if (event.key === "Escape") {
      box.blur();
    } else if (event.key === "Enter" && !event.shiftKey) {
      box.blur(); // what was typed goes to the kernel before the button is pressed
      document.querySelector(".ll-send")?.click();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  setInterval(() => {
    const seen = document.querySelector(".ll-clock");
    if (!seen) return;
    if (seen !== clock) {
      clock = seen;
      shownAt = Date.now();
      if (clock.dataset.types === "1") field()?.focus();
    }
    const until = Math.max(shownAt, Math.min(Date.now(), alive + AWAY));
    const spent = Math.floor(Number(clock.dataset.seconds) + (until - shownAt) / 1000);
    clock.textContent = `${Math.floor(spent / 60)}:${String(spent % 60).padStart(2, "0")}`;
  }, 250);
})();
