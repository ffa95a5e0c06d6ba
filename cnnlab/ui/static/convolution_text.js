// The numbers and words under the animation.

export const DIGITS = 4; // decimals of every sum

export function sign(text) {
  const element = document.createElement("span");
  element.className = "sign";
  element.textContent = text;
  return element;
}

export function term(name, value, kind = "") {
  const item = document.createElement("li");
  item.className = kind;
  const [number, words] = [document.createElement("b"), document.createElement("small")];
  [number.textContent, words.textContent] = [value, name];
  item.append(number, words);
  return item;
}

export const fixed = (value) => value.toFixed(DIGITS);
export const signedNumber = (value) => `${value < 0 ? "-" : "+"}${fixed(Math.abs(value))}`;
const inFormula = (value) => (value < 0 ? `(${fixed(value)})` : fixed(value));

export function describe(found, row, column) {
  const after = found.steps.map((step) => `, after ${step.name} ${fixed(step.after)}`).join("");
  return `Row ${row}, column ${column}: sum and bias ${fixed(found.total)}${after}.`;
}

export function describeStep(step) {
  if (step.kind === "bn") {
    const spread = `√(${fixed(step.variance)} + ${step.epsilon.toPrecision(1)})`;
    const formula = `(${fixed(step.before)} - ${inFormula(step.mean)}) / ${spread} × ${inFormula(step.gamma)} + ${inFormula(step.beta)}`;
    return `${step.name}: ${formula} = ${fixed(step.after)}.`;
  }
  return step.before < 0 ? `${step.name}: below zero, so it becomes 0.` : `${step.name}: not below zero, so it stays.`;
}
