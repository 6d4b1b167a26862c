"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const draw = () => {
  for (const [id, themes] of Object.entries(figures)) {
    const { data, layout } = themes[dark.matches ? 1 : 0];
    Plotly.react(id, data, layout, { responsive: true, displaylogo: false });
  }
};
draw();
dark.addEventListener("change", draw);

// Zoom into a confusion matrix by keyboard; the mouse drags a rectangle.
for (const select of document.querySelectorAll("select[data-figure]")) {
  select.addEventListener("change", () => {
    const [first, last] = select.value.split(" ").map(Number);
    Plotly.relayout(select.dataset.figure, {
      "xaxis.range": [first - 0.5, last + 0.5],
      "yaxis.range": [last + 0.5, first - 0.5],
    });
  });
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const column = header.cellIndex;
    const down = header.getAttribute("aria-sort") !== "descending";
    for (const other of header.parentNode.cells) if (other.ariaSort) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = header.closest("table").tBodies[0];
    const value = (row) => row.cells[column].dataset.value;
    const order = (a, b) => {
      // A missing value stands last in both orders.
      if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === "");
      const difference = Number(value(a)) - Number(value(b));
      const rising = Number.isNaN(difference) ? value(a).localeCompare(value(b)) : difference;
      return down ? -rising : rising;
    };
    body.append(...[...body.rows].sort(order));
  });
}
