// A block as a cuboid to scale, its dropped cells, and the histogram of a batch normalization.

const NAMESPACE = "http://www.w3.org/2000/svg";
const UNIT = 4; // of the drawing, for one value of a map
const DEPTH = 0.3; // of the drawing, for one map
const BINS = 24;

export function shape(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The cuboid of a block: `rows` x `columns` values in front, `depth` maps behind each other. */
export function cuboid(block) {
  const [width, height, depth] = [block.columns * UNIT, block.rows * UNIT, block.depth > 1 ? block.depth * DEPTH : 0];
  const svg = shape("svg", { viewBox: `0 0 ${width + depth} ${height + depth}`, "aria-hidden": true });
  svg.style.width = `calc(${(width + depth) / UNIT} * var(--unit))`;
  svg.append(
    shape("path", { class: "top", d: `M0 ${depth}L${depth} 0H${width + depth}L${width} ${depth}Z` }),
    shape("path", { class: "side", d: `M${width} ${depth}L${width + depth} 0V${height}L${width} ${height + depth}Z` }),
  );
  const front = shape("g", { transform: `translate(0 ${depth}) scale(${UNIT})` });
  const { rows, columns } = block;
  if (block.picture) front.append(shape("image", { href: block.picture, width: columns, height: rows, preserveAspectRatio: "none" }));
  else front.append(shape("path", { class: "face", d: `M0 0H${columns}V${rows}H0Z` }), cells(block));
  const outline = `M0 0H${columns}V${rows}H0Z`;
  const dropped = shape("g", {});
  front.append(dropped, shape("path", { class: "edge", d: outline, style: `stroke-width: ${1 / UNIT}` }));
  svg.append(front);
  return { svg, dropped };
}

function cells({ rows, columns }) {
  const across = Array.from({ length: rows - 1 }, (_, row) => `M0 ${row + 1}H${columns}`);
  const down = Array.from({ length: columns - 1 }, (_, column) => `M${column + 1} 0V${rows}`);
  return shape("path", { class: "cells", d: [...across, ...down].join(""), style: `stroke-width: ${0.4 / UNIT}` });
}

/** Make the cells of a mask dark; returns how many they are. */
export function dropCells({ columns }, dropped, mask, color) {
  const places = [...mask.keys()].filter((at) => mask[at]);
  const d = places.map((at) => `M${at % columns} ${Math.floor(at / columns)}h1v1h-1z`).join("");
  dropped.replaceChildren(shape("path", { class: "dropped", d, stroke: color, style: `stroke-width: ${0.7 / UNIT}` }));
  return places.length;
}

/** A histogram on the range of both sides; `draw(share)` shows the values between before (0) and after (1). */
export function histogram([before, after], color) {
  const low = Math.min(...before, ...after);
  const high = Math.max(...before, ...after, low + 1e-6);
  const svg = shape("svg", { class: "histogram", viewBox: "0 0 96 48", preserveAspectRatio: "none", "aria-hidden": true });
  const bars = shape("path", { fill: color });
  const zero = (96 * (0 - low)) / (high - low);
  svg.append(bars, shape("line", { x1: 0, x2: 96, y1: 48, y2: 48 }), shape("line", { x1: zero, x2: zero, y1: 0, y2: 48 }));
  const draw = (share) => {
    const counts = new Array(BINS).fill(0);
    before.forEach((value, at) => {
      const between = value + share * (after[at] - value);
      counts[Math.min(Math.floor((BINS * (between - low)) / (high - low)), BINS - 1)] += 1;
    });
    const tallest = Math.max(...counts);
    bars.setAttribute("d", counts.map((count, bin) => `M${4 * bin} 48V${48 - (46 * count) / tallest}h3.6V48z`).join(""));
  };
  return { svg, draw };
}
