// Keys for the annotation screen: a key presses the button whose class names it. After one that
// ends a pair the keys wait, so that none is spent on a pair that was not seen yet.
(() => {
  if (window.llScreen) return;
  window.llScreen = true;
  const PATIENCE = 8000; // milliseconds
  let waitingAt = null;
  const step = () => document.querySelector(".ll-step")?.dataset.step;
  const shown = (button) => button.offsetParent !== null && !button.disabled;

  function warn() {
    const message = document.querySelector(".ll-step .ll-message");
    if (message && waitingAt === step())
      message.textContent = "No answer. What was kept is safe; please reload the page.";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".ll-acts");
    if (!button) return;
    if (waitingAt !== null && waitingAt === step()) {
      event.stopImmediatePropagation();
      event.preventDefault();
      return;
    }
    waitingAt = step();
    setTimeout(warn, PATIENCE);
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
    const button = [...document.querySelectorAll(`.ll-screen .ll-key-${CSS.escape(event.key)}`)].find(shown);
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat || (waitingAt !== null && waitingAt === step())) return;
    button.click();
  }, true);
})();
