// Figures are drawn on canvases, which no style sheet reaches: their colours follow the page's here.
const dark = window.matchMedia("(prefers-color-scheme: dark)")
const paint = (is_dark) => {
  const [ink, paper, line, grid] = is_dark
    ? ["#e8eaee", "#15171b", "#6b7380", "#3a414b"]
    : ["#333333", "#ffffff", "#999999", "#e2e2e2"]
  const colours = {
    text_color: ink, axis_label_text_color: ink, major_label_text_color: ink, label_text_color: ink,
    axis_line_color: ink, major_tick_line_color: ink, minor_tick_line_color: line,
    background_fill_color: paper, background_fill_alpha: 1,
  }
  for (const figure of figures) {
    figure.setv({border_fill_color: paper, background_fill_color: paper, outline_line_color: line})
    for (const part of figure.center) if ("grid_line_color" in part.properties) part.grid_line_color = grid
    const beside = [...figure.above, ...figure.below, ...figure.left, ...figure.right, figure.title]
    for (const part of beside) {
      const own = Object.entries(colours).filter(([name]) => name in part.properties)
      part.setv(Object.fromEntries(own))
    }
  }
}
paint(dark.matches)
dark.addEventListener("change", () => paint(dark.matches))
window.addEventListener("beforeprint", () => paint(false))
window.addEventListener("afterprint", () => paint(dark.matches))
