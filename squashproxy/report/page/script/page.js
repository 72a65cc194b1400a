// Draws the treemaps and lets the tables be sorted. Without it, all figures and bars are there.

function drawTreemaps() {
  const platforms = JSON.parse(document.getElementById("folders").textContent);
  for (const figure of document.querySelectorAll("figure.treemap")) {
    const { platform } = figure.closest("[data-platform]").dataset;
    new Treemap(figure, platforms[platform]);
  }
}

document.querySelectorAll("thead th").forEach(makeSortable);
drawTreemaps();
