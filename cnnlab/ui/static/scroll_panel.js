// Scrolls a panel when it shows something else: to its start, or to a part of it that does not begin in its upper half.

const WAIT_MILLISECONDS = 100;
const PATIENCE_MILLISECONDS = 3000; // until the part is drawn
const shown = new Map(); // what each panel shows, also while its page is drawn anew

export default function ({ data: [{ panel, part, shows }] }) {
  const before = shown.get(panel);
  shown.set(panel, shows);
  if (before === undefined || before === shows) return;
  const end = Date.now() + PATIENCE_MILLISECONDS;
  const scroll = () => {
    if (shown.get(panel) !== shows) return;
    const box = document.querySelector(`.st-key-${panel}`);
    const start = part ? box?.querySelector(`.st-key-${part}`) : box;
    if (start) {
      const below = part ? start.getBoundingClientRect().top - box.getBoundingClientRect().top : -box.scrollTop;
      if (below < 0 || below > box.clientHeight / 2) box.scrollTop += below;
    } else if (Date.now() < end) setTimeout(scroll, WAIT_MILLISECONDS);
  };
  scroll();
}
