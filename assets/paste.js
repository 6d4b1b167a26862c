// Hands images of the clipboard to Streamlit's drop zone, so that they take the same way as dropped files.
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const notice = parentElement.querySelector("[role=status]");
  button.textContent = data.label;
  button.hidden = !navigator.clipboard?.read; // only on https and on this computer; Ctrl+V works everywhere

  function give(files) {
    const input = document.querySelector('input[type="file"][data-testid="stFileUploaderDropzoneInput"]');
    if (!input || !files.length) return false;
    const transfer = new DataTransfer();
    files.forEach((file) => transfer.items.add(file));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  function onPaste(event) {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (give(files)) event.preventDefault();
  }

  async function onClick() {
    notice.textContent = "";
    try {
      const files = [];
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith("image/"));
        if (type) files.push(new File([await item.getType(type)], `${data.name}.${type.split("/")[1]}`, { type }));
      }
      if (!give(files)) notice.textContent = data.empty;
    } catch {
      notice.textContent = data.refused; // the reader or the browser said no
    }
  }

  document.addEventListener("paste", onPaste);
  button.addEventListener("click", onClick);
  return () => {
    document.removeEventListener("paste", onPaste);
    button.removeEventListener("click", onClick);
  };
}
