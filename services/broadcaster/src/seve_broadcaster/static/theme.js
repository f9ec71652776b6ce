/**
 * Sets the theme, light or dark, as chosen on the page or else by the system: the attribute `data-theme` of the root,
 * which colours.css reads. A classic script, not a module: it runs before the first paint, so that the other theme does
 * not flash. Each change is an event "themechange" on `document`.
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
      return "automatic"; // storage may be forbidden: the choice is kept until the page is closed
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
