// Between require.js and the widget manager. The manager carries the core widgets itself; a module it
// does not know is looked for here and never on another host.
requirejs.config({ baseUrl: "./" });
