"use strict";
// Copies a text; where the clipboard is out of reach, the text is shown and selected, to be copied by hand.
const selectText = (element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
};
const copy = async (element) => {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    element.closest("details").open = true;
    selectText(element);
    return document.execCommand("copy");
  }
};
for (const row of document.querySelectorAll(".buttons")) {
  row.hidden = false;
  const status = row.querySelector("[role=status]");
  for (const button of row.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy));
      status.textContent = done ? `${button.dataset.name} copied` : `${button.dataset.name} is selected: copy it`;
    });
  }
}
for (const button of document.querySelectorAll("[data-unfold]")) {
  const parts = document.getElementById(button.dataset.unfold).querySelectorAll("details");
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = ![...parts].every((part) => part.open);
    for (const part of parts) part.open = open;
    button.textContent = open ? "Fold all" : "Unfold all";
  });
}
// What is folded is printed too.
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("[data-printed]")) {
    part.open = false;
    delete part.dataset.printed;
  }
});
