// A virtual endpoint: asks two services and answers with both.
function overview(request, session, config) {
  var batch = {
    requests: [
      { method: "GET", headers: {}, body: "", relative_url: config.config_data.backend + "/users" },
      { method: "GET", headers: {}, body: "", relative_url: config.config_data.backend + "/orders" }
    ]
  };
  var answers = JSON.parse(TykBatchRequest(JSON.stringify(batch)));
  var body = { users: answers[0].code, orders: answers[1].code };
  return TykJsResponse({ Body: JSON.stringify(body), Headers: { "Content-Type": "application/json" }, Code: 200 }, session.meta_data);
}
