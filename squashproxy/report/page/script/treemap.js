// The treemap of hidden bytes by folder. A folder is entered by click, Enter or Space; Escape, or a
// button of the trail, leads back.

const HUES = 7;
const SMALL_SHARE = 0.02;
const HEADER = 20;
const GAP = 1;
const LABEL_WIDTH = 44;
const LABEL_HEIGHT = 20;
const FRAME_WIDTH = 90;
const FRAME_HEIGHT = 70;
const LETTER = 6.6;
const PADDING = 5;

function sizeOf(node) {
  return node.children ? node.children.reduce((sum, child) => sum + sizeOf(child), 0) : node.value;
}

function bySize(nodes) {
  return nodes
    .map((node) => ({ node, size: sizeOf(node) }))
    .filter(({ size }) => size > 0)
    .sort((one, other) => other.size - one.size);
}

// `text` as far as it fits into `width` pixels; empty where not even three letters do.
function fitted(text, width) {
  const letters = Math.floor((width - 2 * PADDING) / LETTER);
  if (letters >= text.length) return text;
  return letters < 3 ? "" : `${text.slice(0, letters - 1)}…`;
}

function label(text, box, line, name) {
  const shown = fitted(text, box.width);
  return svg("text", { x: box.x + PADDING, y: box.y + 14 + 15 * line, class: name }, shown);
}

class Treemap {
  constructor(figure, nodes) {
    this.root = { name: "all folders", children: nodes };
    this.total = sizeOf(this.root);
    this.opened = [this.root];
    this.canvas = figure.querySelector(".canvas");
    this.trail = figure.querySelector(".trail");
    this.said = figure.querySelector(".said");
    figure.hidden = false;
    this.canvas.addEventListener("keydown", (event) => this.leaveByKey(event));
    new ResizeObserver(() => {
      if (this.canvas.clientWidth !== this.width) this.draw();
    }).observe(this.canvas);
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    this.width = width;
    const height = width < 560 ? 340 : 440;
    if (!width) return;
    const view = `0 0 ${width} ${height}`;
    const drawing = svg("svg", { width, height, viewBox: view });
    const tiles = bySize(this.opened.at(-1).children);
    const shown = tiles.reduce((sum, { size }) => sum + size, 0);
    const boxes = squarify(tiles.map(({ size }) => size), { x: 0, y: 0, width, height });
    tiles.forEach(({ node, size }, order) => {
      const hue = size > SMALL_SHARE * shown ? `hue-${order % HUES}` : "small";
      drawing.append(this.tile(node, size, boxes[order], hue));
    });
    this.canvas.replaceChildren(drawing);
  }

  tile(node, size, box, hue) {
    const rect = svg("rect", {
      class: "tile",
      x: box.x,
      y: box.y,
      width: Math.max(0, box.width - GAP),
      height: Math.max(0, box.height - GAP),
    });
    const name = node.name || "files";
    const group = svg("g", { class: `${node.children ? "folder" : "leaf"} ${hue}` }, rect);
    this.describe(group, node, name, size);
    const isFrame = node.children && box.width >= FRAME_WIDTH && box.height >= FRAME_HEIGHT;
    if (isFrame) {
      group.append(label(`${name}  ${sizeText(size)}`, box, 0, "name"), this.inner(node, box));
    } else if (box.width >= LABEL_WIDTH && box.height >= LABEL_HEIGHT) {
      group.append(label(name, box, 0, "name"));
      if (box.height >= 2 * LABEL_HEIGHT) group.append(label(sizeText(size), box, 1, "size"));
    }
    return group;
  }

  // The folders of a folder, drawn small inside its frame; they are entered through it.
  inner(node, box) {
    const room = {
      x: box.x + 2,
      y: box.y + HEADER,
      width: box.width - 4 - GAP,
      height: box.height - HEADER - 2 - GAP,
    };
    const tiles = bySize(node.children);
    const boxes = squarify(tiles.map(({ size }) => size), room);
    const parts = tiles.map((tile, order) => {
      const at = boxes[order];
      const part = svg("g", {}, svg("rect", { class: "tile", ...at }));
      if (at.width >= LABEL_WIDTH && at.height >= LABEL_HEIGHT) {
        part.append(label(tile.node.name || "files", at, 0, "name"));
      }
      return part;
    });
    return svg("g", { class: "inner", "aria-hidden": "true" }, ...parts);
  }

  describe(group, node, name, size) {
    const share = `${((100 * size) / this.total).toFixed(1)} % of what is hidden`;
    const files = node.files ? `, ${node.files.toLocaleString("en")} files` : "";
    const text = `${name}: ${sizeText(size)}, ${share}${files}`;
    group.setAttribute("aria-label", text);
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", node.children ? "button" : "img");
    const tell = () => {
      this.said.textContent = text;
    };
    group.addEventListener("focus", tell);
    group.addEventListener("pointerenter", tell);
    if (!node.children) return;
    group.addEventListener("click", () => this.open([...this.opened, node]));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.open([...this.opened, node]);
    });
  }

  leaveByKey(event) {
    if (event.key === "Escape" && this.opened.length > 1) this.open(this.opened.slice(0, -1));
  }

  open(opened) {
    this.opened = opened;
    const steps = opened.length > 1 ? opened : [];
    this.trail.replaceChildren(
      ...steps.map((node, depth) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = node.name;
        button.disabled = depth === opened.length - 1;
        button.addEventListener("click", () => this.open(opened.slice(0, depth + 1)));
        return button;
      }),
    );
    this.draw();
    const { name } = opened.at(-1);
    this.said.textContent = `${name}: ${sizeText(sizeOf(opened.at(-1)))} hidden`;
    this.canvas.querySelector("[tabindex]")?.focus();
  }
}
