// The page is strict about where code comes from, so its own lines are a file, too.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  persistAuthorization: false, // a key that is typed here is forgotten with the page
  validatorUrl: null, // nothing is sent to another host
});
