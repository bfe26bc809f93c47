  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent;
  };
  const sort = (table, column, isAscending) => {
    const body = table.tBodies[0];
    const compare = (a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (typeof x === "number" && typeof y === "number") return isAscending ? x - y : y - x;
      {# A cell without a number comes last. #}
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      return isAscending ? x.localeCompare(y) : y.localeCompare(x);
    };
    body.append(...[...body.rows].sort(compare));
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", isAscending ? "ascending" : "descending");
  };
  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("plot")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        {# Of numbers the largest come first, of names the first. #}
        const isNumber = head.classList.contains("n");
        sort(table, column, now ? now === "descending" : !isNumber);
      });
    });
  }

  for (const filter of all(".filter")) {
    const input = filter.querySelector("input");
    const output = filter.querySelector("output");
    const rows = all("tbody tr", filter.parentNode);
    const texts = new Map(rows.map((row) => [row, row.cells[0].textContent.toLowerCase()]));
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/);
      let count = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => texts.get(row).includes(word));
        if (!row.hidden) count += 1;
      }
      output.textContent = count === rows.length ? "" : `${count} of ${rows.length} rows`;
    };
    input.addEventListener("input", show);
    filter.hidden = false;
    {# A page that is loaded again keeps what was typed. #}
    show();
  }
