// Buttons that copy a call, and the place of the reader in the contents. The page is whole without them.
const report = document.querySelector("[role=status]");
let clearing;

for (const button of document.querySelectorAll(".call button")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentNode.querySelector("code");
    let copied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Over plain HTTP there is no clipboard, and elsewhere it may be denied.
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    report.textContent = copied ? report.dataset.copied : report.dataset.selected;
    clearTimeout(clearing);
    clearing = setTimeout(() => { report.textContent = ""; }, 10000);
  });
}

const links = [...document.querySelectorAll(".contents a[href^='#']")];
const height = (link) => document.querySelector(link.hash).getBoundingClientRect().top;
function locate() {
  const current = links.findLast((link) => height(link) < innerHeight / 3);
  for (const link of links) {
    if (link === current) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("scroll", locate, { passive: true });
locate();
