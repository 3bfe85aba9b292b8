// response: keeps what only our own people may read from the answers to others.
var redact = new TykJS.TykMiddleware.NewMiddleware({});

redact.NewProcessResponse(function (response, request, session, config) {
  if (response.StatusCode === 200 && session.meta_data.role !== "staff") {
    var body = JSON.parse(response.Body);
    config.config_data.secret_fields.forEach(function (name) { delete body[name]; });
    response.Body = JSON.stringify(body);
  }
  response.DeleteHeaders.push("X-Powered-By");
  return redact.ReturnResponseData(response, session.meta_data);
});
