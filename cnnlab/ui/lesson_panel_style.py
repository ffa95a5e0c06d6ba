"""Where the panel of a lesson stands on the screen, the keys of its parts, and the parts of a page that it covers."""

from cnnlab.rendering import palette

PANEL, FOLDED, STEP_BUTTONS = "lesson_panel", "lesson_panel_folded", "lesson_step_buttons"
ANSWERED = "lesson_panel_answered"  # the answer that was given, and what follows it
NARROW = "@media (max-width: 768px)"
PANEL_STYLE = f"""<style>
.st-key-{PANEL} {{ position: fixed; right: 0; top: 3.75rem; bottom: 0; width: 23rem; z-index: 990; overflow-y: auto;
  padding: 0.5rem 1rem 0; background: {palette.PANEL_BACKGROUND};
  border-left: 1px solid {palette.PANEL_BORDER}; }}
[data-testid="stLayoutWrapper"]:has(> .st-key-{STEP_BUTTONS}) {{
  position: sticky; bottom: 0; margin-top: auto; z-index: 1; padding: 0.5rem 0 1rem;
  background: {palette.PANEL_BACKGROUND}; border-top: 1px solid {palette.PANEL_BORDER}; }}
[data-testid="stMainBlockContainer"] {{ padding-right: 24.5rem; padding-left: 2rem; }}
{NARROW} {{
  .st-key-{PANEL} {{ top: auto; width: 100%; left: 0; height: 45vh; border-left: 0;
    border-top: 1px solid {palette.PANEL_BORDER}; }}
  [data-testid="stMainBlockContainer"] {{ padding-right: 1rem; padding-left: 1rem; padding-bottom: 50vh; }}
}}
</style>"""
FOLDED_STYLE = f"""<style>
.st-key-{FOLDED} {{ position: fixed; right: 1rem; bottom: 0.75rem; z-index: 990; width: auto !important; }}
[data-testid="stMainBlockContainer"] {{ padding-bottom: 5rem; }}
</style>"""
COVER_STYLES = {  # parts of a page that are drawn and not shown; `visibility` takes them from the keyboard too
    "train_controls": '[class*="st-key-f_"], .st-key-train_it, .st-key-train_again { visibility: hidden; }',
}
