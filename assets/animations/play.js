// Plays a Lottie drawing. A still picture stands where the reader prefers reduced motion or the player is missing.
export default function ({ data, parentElement }) {
  const still = parentElement.querySelector("img");
  const stage = parentElement.querySelector("div");
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");
  let animation;
  let removed = false;

  async function show() {
    animation?.destroy();
    animation = undefined;
    still.hidden = false;
    if (reduced.matches || !data.player) return;
    try {
      await import(new URL(data.player, document.baseURI)); // the browser loads it once a page
    } catch {
      return;
    }
    if (removed || reduced.matches || animation) return;
    still.hidden = true;
    animation = globalThis.lottie.loadAnimation({
      container: stage,
      renderer: "svg",
      loop: data.loop,
      animationData: structuredClone(data.drawing), // the player changes it
    });
  }

  still.src = data.still;
  reduced.addEventListener("change", show);
  show();
  return () => {
    removed = true;
    reduced.removeEventListener("change", show);
    animation?.destroy();
  };
}
