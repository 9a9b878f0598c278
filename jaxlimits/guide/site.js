// The theme gives its dialog of the search no name, which screen readers need.
document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search")
