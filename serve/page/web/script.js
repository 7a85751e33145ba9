// The form is answered in place. Without this script the browser sends it and shows the same page.
"use strict";

function listen() {
  const form = document.querySelector("form.ask");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = form.querySelector(".status");
    const button = form.querySelector("button.main");
    button.disabled = true;
    status.textContent = "Predicting …";
    try {
      const body = new URLSearchParams(new FormData(form, event.submitter));
      const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } });
      if ((answer.headers.get("content-type") || "").startsWith("text/html")) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const problem = page.querySelector(".problem");
        if (problem) {
          status.textContent = problem.textContent; // the form keeps what was filled in
        } else {
          show(page);
        }
      } else {
        status.textContent = (await answer.json()).detail;
      }
    } catch {
      status.textContent = "The server did not answer. Try again.";
    } finally {
      button.disabled = false;
    }
  });
}

function show(page) {
  document.querySelector("main").replaceWith(page.querySelector("main"));
  listen();
  document.querySelector("[autofocus]")?.focus();
}

listen();
