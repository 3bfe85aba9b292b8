// Copy buttons: <button data-copy="ID of a field" hidden> beside <span data-copied role="status">. Without this script the field can be selected.
async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch { // no TLS, or not allowed: the older way
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const told = button.parentElement.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    told.textContent = "";
    const copied = await copy(document.getElementById(button.dataset.copy));
    if (copied) button.focus();
    told.textContent = copied ? "Copied" : "Not copied: the text is selected, press Ctrl+C or ⌘C.";
  });
}
