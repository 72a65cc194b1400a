/** Elements of drawings, for both pages. The server's loads this as a file, a plan's holds it. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element whose places and sizes are attributes, and whose colours are classes.
 *
 * @param {string} name @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} content @returns {SVGElement}
 */
export function svg(name, attributes, ...content) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...content);
  return element;
}
