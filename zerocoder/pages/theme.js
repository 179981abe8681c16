"use strict";
// The button that exchanges light and dark; until it is used the system decides.
(() => {
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement.style;
    const dark = root.colorScheme ? root.colorScheme === "dark" : system.matches;
    root.colorScheme = dark ? "light" : "dark";
  });
})();
