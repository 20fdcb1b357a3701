// Widgets saved in a page are drawn by the vendored manager; its CDN loader stays off.
window.requirejs && requirejs.config({ waitSeconds: 30 });
document.currentScript && document.currentScript.setAttribute("data-jupyter-widgets-cdn-only", "false");
