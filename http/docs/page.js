// SPDX-License-Identifier: AGPL-3.0-or-later

// Requests that are tried out carry the token of "Authorize", or the cookie of the session that the browser has.
SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  filter: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
