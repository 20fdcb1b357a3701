// The theme's scroll spy looks for a list of contents of a class that this theme's list lacks, takes
// every link of the page instead, and trips over the first address that ends in "#section.2.1".
document.addEventListener("DOMContentLoaded", () => {
  if (document.querySelector("nav.page-toc")) document.body.dataset.bsTarget = "nav.page-toc";
  else delete document.body.dataset.bsSpy;
});
