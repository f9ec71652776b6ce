/**
 * Light or dark as the system says, or as chosen here: `data-theme` of the root, which colours.css goes by. A classic
 * script that runs before the first paint, so that no theme flashes by in the other. Tells the page by the event
 * "themechange" on `document`.
 */
(() => {
  const KEY = "seve.theme";
  const NEXT = { automatic: "light", light: "dark", dark: "automatic" };
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function remembered() {
    try {
      const theme = localStorage.getItem(KEY);
      return theme in NEXT ? theme : "automatic";
    } catch {
      return "automatic"; // storage may be forbidden; then the choice lasts as long as the page
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // as above
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme !== "automatic" ? theme : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("themechange"));
  }

  apply(remembered());
  dark.addEventListener("change", () => apply(remembered()));
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = button.querySelector("span");
    let theme = remembered();
    const tell = () => {
      label.textContent = `Theme: ${theme}`;
      button.title = label.textContent;
    };
    tell();
    button.addEventListener("click", () => {
      theme = NEXT[theme];
      remember(theme);
      apply(theme);
      tell();
    });
  });
})();
