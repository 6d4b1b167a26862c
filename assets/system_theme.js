// Runs the script of the page again when the page has taken on another theme of the system.
export default function ({ parentElement, setTriggerValue }) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const styles = getComputedStyle(parentElement.querySelector("span"));
  const colour = () => styles.getPropertyValue("--st-background-color");
  let shown = colour();

  async function onChange() {
    for (let waits = 0; waits < 30 && colour() === shown; waits++) await new Promise((go) => setTimeout(go, 100));
    if (colour() === shown) return; // the reader has chosen a theme
    shown = colour();
    setTriggerValue("changed", true);
  }

  scheme.addEventListener("change", onChange);
  return () => scheme.removeEventListener("change", onChange);
}
