const form = document.getElementById("filter");
const articles = [...document.querySelectorAll("article")];
const texts = new Map(articles.map((one) => [one, one.textContent.toLowerCase()]));

function filter() {
  const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const grades = [...form.querySelectorAll("input[name=grade]:checked")].map((box) => box.value);
  let shown = 0;
  for (const one of articles) {
    const fits =
      words.every((word) => texts.get(one).includes(word)) &&
      grades.every((grade) => one.dataset.grades.includes(grade)) &&
      (!form.errata.checked || one.dataset.erratum === "true") &&
      (!form.failed.checked || one.dataset.holds === "false");
    one.hidden = !fits;
    shown += fits;
  }
  for (const chapter of document.querySelectorAll("section.chapter")) {
    chapter.hidden = !chapter.querySelector("article:not([hidden])");
  }
  document.getElementById("count").textContent =
    shown === articles.length ? `${shown} statements` : `${shown} of ${articles.length} statements`;
}

form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter();
