// pre: takes the key from the query, for clients that cannot send headers, and keeps it from the upstream.
var keyFromQuery = new TykJS.TykMiddleware.NewMiddleware({});

keyFromQuery.NewProcessRequest(function (request, session, config) {
  if (request.Params["key"]) {
    request.SetHeaders["Authorization"] = request.Params["key"][0];
    request.DeleteParams.push("key");
  }
  return keyFromQuery.ReturnData(request, session.meta_data);
});
