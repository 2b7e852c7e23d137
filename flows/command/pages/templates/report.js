"use strict";
// Colours are those of the page, light or dark: the SVG refers to its variables.
const text = { labelColor: "var(--text)", titleColor: "var(--text)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
const config = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  mark: { color: "var(--c1)" },
  line: { strokeWidth: 2 },
  rule: { color: "var(--faint)" },
  text: { color: "var(--text)", fontSize: 12 },
  axis: { ...text, domainColor: "var(--faint)", tickColor: "var(--faint)", gridColor: "var(--line)", labelLimit: 130 },
  legend: { ...text, orient: "top", columns: 2, labelLimit: 220 },
  range: { category: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `var(--c${number})`) },
};
const charts = JSON.parse(document.getElementById("charts").textContent);
for (const [id, spec] of Object.entries(charts)) {
  vegaEmbed(`#${id} .chart > div`, spec, { config, renderer: "svg", actions: false, logLevel: 1 });
}
// A choice shows one of the articles; without scripts all of them are there.
for (const select of document.querySelectorAll("select[data-articles]")) {
  const articles = document.querySelectorAll(`#${select.dataset.articles} article`);
  const show = () => articles.forEach((article) => { article.hidden = article.id !== select.value; });
  select.addEventListener("change", show);
  show();
}
