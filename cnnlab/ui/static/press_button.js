// Presses a button of the page, once: the download of a file that was made after a click.

const WAIT_MILLISECONDS = 100;
const PATIENCE_MILLISECONDS = 10000; // until the button is drawn
const pressed = new Set();

export default function ({ data: [{ button, once }] }) {
  if (pressed.has(once)) return;
  pressed.add(once);
  const end = Date.now() + PATIENCE_MILLISECONDS;
  const press = () => {
    const found = document.querySelector(`.st-key-${button} button`);
    if (found) found.click();
    else if (Date.now() < end) setTimeout(press, WAIT_MILLISECONDS);
  };
  press();
}
