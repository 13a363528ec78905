// Our document in Swagger UI. Calls go to the address that the page was loaded from, whatever public
// address the document names: the page's own policy allows no other.
"use strict";

addEventListener("DOMContentLoaded", async () => {
  const place = document.getElementById("reference");
  const answer = await fetch("/api/docs/public-json").catch(() => null);
  if (!answer || !answer.ok) {
    place.textContent = "The document cannot be had at the moment: load the page again.";
    return;
  }
  const spec = await answer.json();
  spec.servers = [{ url: location.origin }];
  SwaggerUIBundle({
    domNode: place,
    spec,
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    // Nobody else is asked whether the document is valid: our tests know.
    validatorUrl: null,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    // Keys are forgotten with the page.
    persistAuthorization: false,
  });
});
