// Sort a table by a click on a heading or, on a narrow screen, by the list above it. The report is readable without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const label = document.createElement("label");
  const list = document.createElement("select");
  label.className = "sorter";
  label.append("Sort by ", list);
  list.add(new Option("–", ""));
  const first = (heads.length && body.rows[0].cells) || [];
  heads.forEach((head, column) => {
    list.add(new Option(first[column].dataset.label || head.textContent, column));
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(column));
  });
  list.addEventListener("change", () => list.value && sort(Number(list.value)));
  table.before(label);

  function sort(column) {
    const rising = heads[column].getAttribute("aria-sort") !== "ascending";
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
    };
    const gap = (value) => value === "–" || Number.isNaN(value);
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (gap(x) || gap(y)) return gap(x) - gap(y);
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return rising ? order : -order;
    });
    body.append(...rows);
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
  }
}
