// post_key_auth, with require_session: refuses what the plan of the key does not include, and counts the calls of the key.
var plan = new TykJS.TykMiddleware.NewMiddleware({});

plan.NewProcessRequest(function (request, session, config) {
  var needed = config.config_data.plan;
  if (session.meta_data.plan !== needed) {
    request.ReturnOverrides.ResponseCode = 402;
    request.ReturnOverrides.ResponseError = "This call needs the plan " + needed;
    return plan.ReturnData(request, session.meta_data);
  }
  session.meta_data.calls = String(Number(session.meta_data.calls || 0) + 1);
  request.SetHeaders["X-Plan"] = needed;
  return plan.ReturnData(request, session.meta_data);
});
