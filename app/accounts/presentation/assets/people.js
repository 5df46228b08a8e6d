// The pages that SalesPad's mails link to. The token is in the address's fragment, which no server gets to see but in
// the one request that uses it; once used it is taken out of the address.
"use strict";

const form = document.querySelector("form");
const heading = document.querySelector("h1");
const problem = document.querySelector("#problem");
const button = form.querySelector("button");
const says = JSON.parse(form.dataset.says);
const operation = form.dataset.operation;
const token = decodeURIComponent(location.hash.slice(1));
const needsToken = "needsToken" in form.dataset;

for (const link of document.querySelectorAll("a[hreflang]")) link.hash = location.hash;

form.querySelector("#show")?.addEventListener("change", ({ target }) => {
  for (const input of form.querySelectorAll("[data-secret]")) input.type = target.checked ? "text" : "password";
});

if (token || !needsToken) {
  form.hidden = false;
} else {
  problem.textContent = says["token.MISSING"];
  problem.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  forget();
  try {
    const payload = await send();
    if (payload.errors.length > 0) tell(payload.errors);
    else finish(payload);
  } catch {
    tell([{ code: "UNREACHABLE", path: [] }]);
  } finally {
    button.removeAttribute("aria-disabled");
  }
});

async function send() {
  const input = needsToken ? { token } : {};
  for (const field of form.querySelectorAll("[name]")) {
    if (field.value || !("optional" in field.dataset)) input[field.name] = field.value;
  }
  if (operation === "acceptInvitation") input.cookie = true;
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ query: form.dataset.document, variables: { input } }),
  });
  const body = await answer.json();
  if (!body.data?.[operation]) throw new Error("no answer");
  return body.data[operation];
}

function forget() {
  problem.hidden = true;
  for (const input of form.querySelectorAll("[name]")) {
    input.removeAttribute("aria-invalid");
    document.querySelector(`#${input.name}-error`).hidden = true;
  }
}

function tell(errors) {
  for (const error of [...errors].reverse()) {
    const field = error.path.at(-1);
    const input = field && form.querySelector(`[name="${CSS.escape(field)}"]`);
    const text = says[`${field}.${error.code}`] ?? says[error.code] ?? error.message ?? says.UNREACHABLE;
    const place = input ? document.querySelector(`#${input.name}-error`) : problem;
    place.textContent = text;
    place.hidden = false;
    if (input) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
  }
}

function finish(payload) {
  history.replaceState(null, "", location.pathname + location.search);
  for (const over of document.querySelectorAll("form, #intro, #forgot, footer")) over.hidden = true;
  const workspace = payload.session?.viewer.workspace.name ?? "";
  document.querySelector("#done-text").textContent = says.DONE.replace("{workspace}", () => workspace);
  document.querySelector("#done").hidden = false;
  heading.textContent = says.DONE_TITLE;
  document.title = `${says.DONE_TITLE} – SalesPad`;
  heading.focus();
}
