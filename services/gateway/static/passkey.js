// Has the browser sign with a passkey what the form's API gives, and sends the form with it. Without scripts, or passkeys, there is no such form.
for (const form of document.querySelectorAll("form[data-begin]")) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [failed, often] = form.querySelectorAll("[role=alert]");
    const button = form.querySelector("button");
    failed.hidden = often.hidden = button.disabled = true;
    let problem = failed;
    try {
      const begun = await fetch(form.dataset.begin, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
      if (begun.status === 429) problem = often;
      if (!begun.ok) throw new Error(begun.status);
      const { options } = await begun.json();
      const signed = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options)) });
      form.elements.passkey.value = JSON.stringify(signed);
      form.submit();
    } catch {
      problem.hidden = button.disabled = false;
    }
  });
}

// Has the browser make a passkey from the form's options, and sends the form with it.
for (const form of document.querySelectorAll("form[data-create]")) {
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) continue;
  document.querySelector("[data-without]").hidden = true;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector("[role=alert]");
    const button = form.querySelector("button");
    problem.hidden = button.disabled = true;
    try {
      const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.create)) });
      form.elements.passkey.value = JSON.stringify(made);
      form.submit();
    } catch {
      problem.hidden = button.disabled = false;
    }
  });
}

// A form whose answer is shown once is sent once: its button is off then.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => (form.querySelector("button").disabled = true));
}

// Who comes back to the page may begin again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button")) button.disabled = false;
});
